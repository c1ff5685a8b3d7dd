// Edits documents at random in three clients whose connections fail at random. In the end all must be equal to the
// service, and each added line in its document or in a refused write.
import assert from 'node:assert/strict';

import { Client } from './client.js';
import { pause } from './network.js';
import { sameEverywhere } from './service.js';

const CUT_SHARE = 0.25;
const LATENCY_MILLISECONDS = 40;
const ROUND_MILLISECONDS = 100;

/** Return a function that returns the numbers of mulberry32, which are the same for the same seed. */
function generator(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let bits = Math.imul(state ^ (state >>> 15), 1 | state);
        bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
        return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
    };
}

class Rounds {
    clients = [];
    counts = { edits: 0, created: 0, deleted: 0, cut: 0, offline: 0, reloads: 0 };
    lines = new Map(); // The id of the document that a line was added to.
    titles = new Set();

    constructor(url, key, seed) {
        Object.assign(this, { url, key, random: generator(seed), run: Date.now() });
    }

    number(limit) {
        return Math.floor(this.random() * limit);
    }

    async open() {
        for (let count = 0; count < 3; count++) this.clients.push(await Client.open(this.url, this.key));
        for (let count = 0; count < 5; count++) await this.create(this.clients[0]);
        await sameEverywhere(this.url, this.key, this.clients);
    }

    async create(client) {
        const title = `document ${++this.counts.created} of ${this.run}`;
        this.titles.add(title);
        const content = Array.from({ length: 12 }, (_, place) => `line ${place}\n`).join('');
        await client.create({ title, content });
    }

    /** Add a line, or replace one that no client has added. */
    async edit(client, document) {
        const isAddition = this.random() < 0.6;
        const [line, place] = [`added ${++this.counts.edits}\n`, this.number(12)];
        if (isAddition) this.lines.set(line, document.id);
        await document.incrementalModify((data) => {
            const lines = data.content.match(/.*\n/g) ?? [];
            const at = lines.findIndex((each) => each.startsWith(`line ${place}`));
            if (isAddition) lines.splice(at + 1, 0, line);
            else if (at >= 0) lines[at] = `line ${place} by ${client.name}\n`;
            return { ...data, content: lines.join('') };
        });
    }

    async act(client) {
        const held = await client.database.documents.find().exec();
        const documents = held.filter(({ title }) => this.titles.has(title));
        const document = documents[this.number(documents.length)];
        const chance = this.random();
        if (chance < 0.08 || !document) await this.create(client);
        else if (chance < 0.1 && documents.length > 3) {
            this.counts.deleted++;
            for (const line of document.content.match(/.*\n/g) ?? []) this.lines.delete(line);
            await document.remove();
        } else await this.edit(client, document);
    }

    /** Change the network of a client, or reload it. */
    async disturb(client) {
        client.isOnline = this.random() < 0.7;
        if (!client.isOnline) this.counts.offline++;
        client.latency = this.number(LATENCY_MILLISECONDS);
        client.cut = () => {
            if (this.random() > CUT_SHARE) return undefined;
            this.counts.cut++;
            return this.random() < 0.5 ? 'before' : 'after';
        };
        if (this.random() < 0.1) {
            this.counts.reloads++;
            await client.reload();
        }
    }

    async round() {
        for (const client of this.clients) {
            if (this.random() < 0.5) await this.disturb(client);
            for (let count = this.number(3); count; count--) await this.act(client);
        }
        await pause(this.number(ROUND_MILLISECONDS));
    }

    /** Wait until all clients agree with the service, and check that nothing is lost or doubled. */
    async settle() {
        for (const client of this.clients) Object.assign(client, { isOnline: true, latency: 0, cut: () => undefined });
        const documents = await sameEverywhere(this.url, this.key, this.clients);
        const records = (await Promise.all(this.clients.map((client) => client.refused()))).flat();
        for (const { status, reason } of records) assert.ok([404, 409, 412].includes(status), `${status} ${reason}`);
        const titles = documents.map(({ title }) => title).filter((title) => this.titles.has(title));
        assert.equal(new Set(titles).size, titles.length);
        const texts = new Map(documents.map(({ id, content }) => [String(id), content]));
        const refused = records.map((record) => record.toJSON().value?.content).join('');
        for (const [line, id] of this.lines) {
            const isHere = !texts.has(id) || texts.get(id).includes(line) || refused.includes(line);
            assert.ok(isHere, `${line} of ${id} is lost`);
        }
        const refusals = { clashes: 0, races: 0, late: 0 };
        for (const { status, merge } of records) refusals[status !== 409 ? 'late' : merge ? 'clashes' : 'races']++;
        return { ...this.counts, documents: titles.length, ...refusals };
    }
}

/** Run rounds, and return how often each thing happened. */
export async function randomEdits(url, key, { rounds: count, seed }) {
    const rounds = new Rounds(url, key, seed);
    await rounds.open();
    for (let number = 0; number < count; number++) await rounds.round();
    return { rounds: count, seed, ...(await rounds.settle()) };
}
