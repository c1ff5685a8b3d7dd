// What clients may expect of writes that are refused, clash, or come too late.
import assert from 'node:assert/strict';

import { Client, until } from './client.js';
import { SCRIPT, find, replaceText, two } from './script.js';
import { api, sameEverywhere } from './service.js';

export const refusing = {
    async a_refused_write_blocks_nothing_and_stays_readable(url, key) {
        const ada = await Client.open(url, key);
        ada.isOnline = false;
        const members = { title: 'Refused', content: 'text', project_id: 1_000_000_000 };
        const refused = await ada.create(members);
        await ada.create({ title: 'No text', content: '\ud800' });
        const others = [];
        for (let number = 0; number < 5; number++) others.push((await ada.create({ title: `good ${number}` })).id);
        ada.isOnline = true;
        const records = await until(() => ada.refused(2), 'the refused writes');
        await ada.pushed();
        assert.deepEqual(records.map(({ status }) => status), [400, 400]);
        const record = records.find(({ id }) => id === refused.id);
        assert.match(record.reason, /project_id/);
        assert.deepEqual(record.toJSON().value, members);
        assert.equal((await ada.document(refused.id)).content, 'text');
        for (const id of others) assert.equal((await api(url, key, 'GET', `/documents/${id}`)).status, 200);
        await ada.documents.discard(records.find(({ id }) => id !== refused.id));
        // An edit mends the other one.
        const document = await ada.document(refused.id);
        await document.incrementalModify(({ project_id, ...data }) => ({ ...data, title: 'Mended' }));
        await sameEverywhere(url, key, [ada]);
        assert.deepEqual(await ada.refused(), []);
        assert.equal((await api(url, key, 'GET', `/documents/${refused.id}`)).body.title, 'Mended');
    },

    async a_batch_that_is_too_large_is_sent_in_parts(url, key) {
        const ada = await Client.open(url, key);
        ada.isOnline = false;
        const content = `${'x'.repeat(99)}\n`.repeat(9_000);
        const large = [];
        for (let number = 0; number < 8; number++) large.push(await ada.create({ title: `large ${number}`, content }));
        const tooLarge = await ada.create({ title: 'too large', content: content + content });
        ada.isOnline = true;
        const [record] = await until(() => ada.refused(1), 'a refused write');
        assert.deepEqual([record.id, record.status], [tooLarge.id, 413]);
        for (const { id } of large) assert.equal((await api(url, key, 'GET', `/documents/${id}`)).status, 200);
        await ada.documents.discard(record);
        await until(async () => !(await ada.document(tooLarge.id)), 'the document disappears');
        await ada.database.documents.bulkRemove(large.map(({ id }) => id));
        await sameEverywhere(url, key, [ada]);
    },

    async a_clash_keeps_both_versions_until_somebody_chooses(url, key) {
        const [ada, bob, id] = await two(url, key);
        bob.isOnline = false;
        await bob.edit(id, replaceText('one', 'bob'));
        await ada.edit(id, replaceText('one', 'ada'));
        await ada.pushed();
        bob.isOnline = true;
        const [record] = await until(() => bob.refused(1), 'a clash');
        const [mine, theirs] = ['bob', 'ada'].map((name) => SCRIPT.content.replace('one', name));
        assert.equal(record.status, 409);
        assert.equal(record.toJSON().value.content, mine);
        const [hunk] = record.toJSON().merge.content.hunks;
        assert.deepEqual(hunk, { base: 'one\n', versions: { current: 'ada\n', value: 'bob\n' } });
        assert.equal(find(await sameEverywhere(url, key, [ada, bob]), id).content, theirs);
        // Bob chooses his version: an edit like any other, and the record is done.
        await bob.edit(id, () => ({ content: mine }));
        await record.remove();
        assert.equal(find(await sameEverywhere(url, key, [ada, bob]), id).content, mine);
        assert.deepEqual(await bob.refused(), []);
    },

    async a_deletion_gives_way_to_an_edit_and_an_edit_of_a_deleted_item_stays_readable(url, key) {
        const [ada, bob, id] = await two(url, key);
        const { id: other } = await ada.create(SCRIPT);
        await until(() => bob.document(other), 'the second script');
        bob.isOnline = false;
        await (await bob.document(id)).remove();
        await bob.edit(other, replaceText('one', 'bob'));
        await ada.edit(id, replaceText('six', 'ada'));
        await (await ada.document(other)).remove();
        await ada.pushed();
        bob.isOnline = true;
        const records = await until(() => bob.refused(2), 'both outcomes');
        const statuses = new Map(records.map((record) => [record.id, record.status]));
        assert.deepEqual(statuses, new Map([[id, 412], [other, 404]].sort()));
        const text = records.find((record) => record.id === other).toJSON().value.content;
        assert.equal(text, SCRIPT.content.replace('one', 'bob'));
        const documents = await sameEverywhere(url, key, [ada, bob]);
        assert.equal(find(documents, id).content, SCRIPT.content.replace('six', 'ada'));
        assert.equal(find(documents, other), undefined);
    },

    async what_leaves_the_reach_of_a_key_disappears_and_its_edit_stays_readable(url, key) {
        const { body: project } = await api(url, key, 'POST', '/projects', { name: 'Shared' });
        const { body: document } = await api(url, key, 'POST', '/documents', { ...SCRIPT, project_id: project.id });
        const { body: limited } = await api(url, key, 'POST', '/keys', {
            name: 'limited',
            scopes: ['documents:read', 'documents:write', 'projects:read', 'projects:write'],
            projects: [project.id],
        });
        const bob = await Client.open(url, limited.key, { canCreateProjects: false });
        assert.deepEqual((await bob.documentsById()).map(({ id }) => id), [document.id]);
        bob.isOnline = false;
        await bob.edit(String(document.id), replaceText('one', 'bob'));
        await api(url, key, 'PATCH', `/documents/${document.id}`, { project_id: null });
        bob.isOnline = true;
        const [record] = await until(() => bob.refused(1), 'a refused write');
        assert.equal(record.status, 403);
        assert.equal(record.toJSON().value.content, SCRIPT.content.replace('one', 'bob'));
        await until(async () => !(await bob.documentsById()).length, 'the document disappears');
        // Once the key may write it again, the write can be repeated.
        await api(url, key, 'PATCH', `/documents/${document.id}`, { project_id: project.id });
        await bob.documents.retry(record);
        await until(async () => (await bob.documentsById())[0]?.content === record.toJSON().value.content, 'the edit');
        assert.deepEqual(await bob.refused(), []);
    },

    async a_revoked_key_loses_no_edit(url, key) {
        const { body: revoked } = await api(url, key, 'POST', '/keys', {
            name: 'revoked',
            scopes: ['documents:read', 'documents:write', 'projects:read', 'projects:write'],
        });
        const ada = await Client.open(url, revoked.key);
        ada.isOnline = false;
        const { id } = await ada.create(SCRIPT);
        await api(url, key, 'DELETE', `/keys/${revoked.id}`);
        const isRevoked = async () => (await api(url, revoked.key, 'GET', '/documents?limit=1')).status === 401;
        await until(isRevoked, 'the revocation', 50);
        ada.isOnline = true;
        const isReported = ({ parameters }) => parameters.errors[0].code === 'unauthorized';
        await until(() => ada.errors.some(isReported), 'an error');
        await ada.reload(key);
        // The reservation belonged to the principal of the other key.
        const [record] = await until(() => ada.refused(1), 'a refused write');
        assert.deepEqual([record.id, record.status, record.toJSON().value], [id, 403, SCRIPT]);
    },

    async a_restored_database_drops_what_it_lost_and_keeps_what_is_new(url, key, { operate }) {
        const [ada, bob, id] = await two(url, key);
        const { id: other } = await ada.create(SCRIPT);
        await until(() => bob.document(other), 'the second script');
        bob.isOnline = false;
        await bob.edit(id, replaceText('one', 'bob'));
        const early = await bob.create({ title: 'With an id of the time before' });
        await (await ada.document(other)).remove();
        await ada.pushed();
        await operate('feeds', 'renew');
        bob.isOnline = true;
        const [record] = await until(() => bob.refused(1), 'a refused write');
        assert.deepEqual([record.id, record.status, record.toJSON().value.title], [early.id, 403, early.title]);
        await bob.documents.discard(record);
        const late = await until(() => bob.create({ title: early.title }).catch(() => undefined), 'new ids');
        const documents = await sameEverywhere(url, key, [ada, bob]);
        assert.equal(find(documents, id).content, SCRIPT.content.replace('one', 'bob'));
        assert.equal(find(documents, other), undefined);
        assert.equal(find(documents, late.id).title, early.title);
        assert.equal(await bob.document(early.id), null);
    },
};
