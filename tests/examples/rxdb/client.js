// A client with an RxDB database in memory.
import { createRxDatabase } from 'rxdb';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { wrappedValidateAjvStorage } from 'rxdb/plugins/validate-ajv';

import { connect, replicate, reserveIds } from './adapter.js';
import { collections } from './collections.js';
import { Network, pause } from './network.js';

const PATIENCE_MILLISECONDS = 60_000;
const clients = [];

/** Close the databases of all clients: RxDB allows 16 open collections. */
export const closeAll = () => Promise.all(clients.map((client) => client.database.close()));

/** Wait until `condition` returns a true value, and return that. */
export async function until(condition, what, milliseconds = 10) {
    const end = Date.now() + PATIENCE_MILLISECONDS;
    for (;;) {
        const value = await condition();
        if (value) return value;
        if (Date.now() > end) throw new Error(`not within ${PATIENCE_MILLISECONDS / 1000} s: ${what}`);
        await pause(milliseconds);
    }
}

export class Client extends Network {
    errors = [];

    static async open(url, key, { canCreateProjects = true } = {}) {
        const client = new Client();
        const storage = wrappedValidateAjvStorage({ storage: getRxStorageMemory() });
        const name = `client${clients.push(client)}`;
        client.database = await createRxDatabase({ name, storage, multiInstance: false });
        await client.database.addCollections(collections);
        Object.assign(client, { url, key, name, canCreateProjects });
        client.start();
        await client.projects.replication.awaitInitialReplication();
        await client.documents.replication.awaitInitialReplication();
        return client;
    }

    /** Start both replications, as an application does whenever it is loaded. */
    start() {
        const { projects, documents, outbox, reservations } = this.database;
        const page = (this.page = {});
        const never = new Promise(() => {}); // The end of a request of a page that was left.
        const orNever = (request) => request.finally(() => (page === this.page ? undefined : never));
        const fetch = (...given) => orNever(page === this.page ? this.fetch(...given) : never);
        const service = connect(this.url, this.key, fetch);
        const common = { service, outbox, retryTime: 50 };
        const reserve = (type) => reserveIds({ service, type, reservations });
        this.projectIds = this.canCreateProjects ? reserve('project') : undefined;
        this.ids = reserve('document');
        this.projects = replicate({ ...common, type: 'project', collection: projects, ids: this.projectIds });
        const after = this.projects.replication;
        this.documents = replicate({ ...common, type: 'document', collection: documents, ids: this.ids, after });
        for (const { replication } of [this.projects, this.documents]) {
            replication.error$.subscribe((error) => this.errors.push(error));
        }
    }

    /** Forget all that is not in the database, and start again, perhaps with another key. */
    async reload(key = this.key) {
        [this.page, this.key] = [undefined, key];
        for (const { replication } of [this.documents, this.projects]) await replication.cancel();
        this.start();
    }

    async create(members) {
        return this.database.documents.insert({ id: await this.ids.take(), ...members });
    }

    document(id) {
        return this.database.documents.findOne(id).exec();
    }

    /** Change members of a document in one step. */
    async edit(id, change) {
        return (await this.document(id)).incrementalModify((data) => ({ ...data, ...change(data) }));
    }

    /** Return the documents of the collection as the service would list them. */
    async documentsById() {
        const documents = await this.database.documents.find().exec();
        const items = documents.map((each) => ({ ...each.toJSON(), id: Number(each.id) }));
        return items.sort((one, other) => one.id - other.id);
    }

    /** Return whether local writes wait for their answers. */
    async isBusy() {
        const unanswered = this.database.outbox.findOne({ selector: { status: 0 } });
        return this.documents.replication.subjects.active.getValue() || Boolean(await unanswered.exec());
    }

    /** Wait until all local writes have been answered. */
    async pushed() {
        await this.documents.replication.awaitInSync();
        await until(async () => !(await this.isBusy()), 'a push');
    }

    /** Return the refused writes, undefined if there are fewer than `count`. */
    async refused(count = 0) {
        const records = await this.database.outbox.find({ selector: { status: { $gte: 400 } } }).exec();
        return records.length >= count ? records : undefined;
    }
}
