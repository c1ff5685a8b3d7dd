// What clients may expect while nobody refuses their writes. A broken expectation is an assertion error.
import assert from 'node:assert/strict';

import { Client, until } from './client.js';
import { pause } from './network.js';
import { SCRIPT, find, replaceText, two } from './script.js';
import { api, sameEverywhere } from './service.js';

const isPush = (request) => request === 'POST /documents/batch';

export const merging = {
    async edits_of_other_lines_are_merged_and_creations_keep_their_ids(url, key) {
        const [ada, bob, id] = await two(url, key);
        for (const client of [ada, bob]) client.isOnline = false;
        await ada.edit(id, replaceText('one', 'ONE'));
        await bob.edit(id, replaceText('six', 'SIX'));
        const created = [];
        for (const client of [ada, bob]) {
            for (let number = 0; number < 100; number++) {
                created.push((await client.create({ title: `offline ${client.name} ${number} ${id}` })).toJSON());
            }
        }
        for (const client of [ada, bob]) client.isOnline = true;
        const documents = await sameEverywhere(url, key, [ada, bob]);
        assert.equal(find(documents, id).content, SCRIPT.content.replace('one', 'ONE').replace('six', 'SIX'));
        for (const document of created) {
            const same = documents.filter(({ title }) => title === document.title);
            assert.deepEqual(same, [{ ...document, id: Number(document.id) }]);
        }
        for (const client of [ada, bob]) assert.deepEqual(await client.refused(), []);
    },

    async a_lost_answer_doubles_nothing(url, key) {
        const [ada, bob, id] = await two(url, key);
        let pushes = 0;
        ada.cut = (request) => (isPush(request) && ++pushes <= 2 ? 'after' : undefined);
        await bob.edit(id, replaceText('six', 'SIX'));
        await ada.edit(id, replaceText('one', 'ONE'));
        for (let number = 0; number < 20; number++) await ada.create({ title: `lost ${id}` });
        const documents = await sameEverywhere(url, key, [ada, bob]);
        assert.ok(pushes > 2);
        assert.equal(documents.filter(({ title }) => title === `lost ${id}`).length, 20);
        assert.equal(find(documents, id).content, SCRIPT.content.replace('one', 'ONE').replace('six', 'SIX'));
        assert.deepEqual(await ada.refused(), []);
    },

    async a_creation_whose_answer_was_lost_takes_over_the_edits_of_others(url, key) {
        const [ada, bob] = [await Client.open(url, key), await Client.open(url, key)];
        ada.cut = (request) => (isPush(request) ? 'after' : undefined);
        const { id } = await ada.create(SCRIPT);
        await until(() => bob.document(id), 'the script reaches the other client');
        await bob.edit(id, replaceText('six', 'SIX'));
        await bob.pushed();
        ada.cut = () => undefined;
        const documents = await sameEverywhere(url, key, [ada, bob]);
        assert.equal(find(documents, id).content, SCRIPT.content.replace('six', 'SIX'));
        assert.deepEqual(await ada.refused(), []);
    },

    async an_edit_after_a_lost_answer_and_a_reload_does_not_clash(url, key) {
        const [ada, bob, id] = await two(url, key);
        let pushes = 0;
        ada.cut = (request) => (isPush(request) && ++pushes ? 'after' : undefined);
        await ada.edit(id, replaceText('one', 'ONE'));
        const created = await ada.create({ title: 'New', content: 'first\n' });
        await until(() => pushes, 'a push');
        await until(async () => (await api(url, key, 'GET', `/documents/${created.id}`)).status === 200, 'its effect');
        ada.isOnline = false;
        await ada.reload();
        await bob.edit(id, replaceText('six', 'SIX'));
        await ada.edit(id, replaceText('ONE', 'ONE and a half'));
        await ada.edit(created.id, () => ({ content: 'second\n' }));
        [ada.cut, ada.isOnline] = [() => undefined, true];
        const documents = await sameEverywhere(url, key, [ada, bob]);
        assert.equal(find(documents, created.id).content, 'second\n');
        const content = SCRIPT.content.replace('one', 'ONE and a half').replace('six', 'SIX');
        assert.equal(find(documents, id).content, content);
        assert.deepEqual(await ada.refused(), []);
    },

    async edits_faster_than_the_network_do_not_clash(url, key) {
        const [ada, bob, id] = await two(url, key);
        const conflicts = [];
        ada.documents.replication.conflict$.subscribe((conflict) => conflicts.push(conflict));
        let pushes = 0;
        ada.latency = 150;
        ada.cut = (request) => (isPush(request) && ++pushes === 2 ? 'after' : undefined);
        for (let number = 1; number <= 10; number++) {
            await ada.edit(id, ({ content }) => ({ content: content.replace(/^one.*/, `one ${number}`) }));
            if (number === 5) await bob.edit(id, replaceText('six', 'SIX'));
            await pause(60);
        }
        const documents = await sameEverywhere(url, key, [ada, bob]);
        assert.equal(find(documents, id).content, SCRIPT.content.replace('one', 'one 10').replace('six', 'SIX'));
        assert.deepEqual(conflicts, []);
        assert.deepEqual(await ada.refused(), []);
    },

    async documents_are_pushed_after_their_projects(url, key) {
        const [ada, bob] = [await Client.open(url, key), await Client.open(url, key)];
        ada.isOnline = false;
        const project = await ada.database.projects.insert({ id: await ada.projectIds.take(), name: 'Offline' });
        const document = await ada.create({ title: 'In it', project_id: Number(project.id) });
        ada.isOnline = true;
        await sameEverywhere(url, key, [ada, bob]);
        assert.deepEqual(await ada.refused(), []);
        assert.equal((await bob.document(document.id)).project_id, Number(project.id));
        assert.equal((await api(url, key, 'GET', `/projects/${project.id}`)).body.name, 'Offline');
    },
};
