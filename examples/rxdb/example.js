// Keeps a copy of the items of a service: node example.js URL KEY. With a TITLE it creates a document.
import { createRxDatabase } from 'rxdb';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory'; // In a browser: getRxStorageDexie, for IndexedDB.

import { connect, replicate, reserveIds } from './adapter.js';
import { collections } from './collections.js';

const [url, key, title] = process.argv.slice(2);
const database = await createRxDatabase({ name: 'dreamscript', storage: getRxStorageMemory(), multiInstance: false });
const { projects, documents, outbox, reservations } = await database.addCollections(collections);

const service = connect(url, key);
const projectIds = reserveIds({ service, type: 'project', reservations });
const documentIds = reserveIds({ service, type: 'document', reservations });
const forProjects = replicate({ service, type: 'project', collection: projects, outbox, ids: projectIds });
const after = forProjects.replication;
const forDocuments = replicate({ service, type: 'document', collection: documents, outbox, ids: documentIds, after });

for (const { replication } of [forProjects, forDocuments]) {
    replication.error$.subscribe(({ parameters }) => console.error(parameters.errors?.[0].message));
}
await forDocuments.replication.awaitInitialReplication();
outbox.find({ selector: { status: { $gte: 400 } } }).$.subscribe((refused) => {
    for (const { id, status, reason } of refused) console.error(`The write of ${id} is refused: ${status} ${reason}`);
});
documents.find().$.subscribe((all) => console.log(`${all.length} documents`));

if (title) {
    const document = await documents.insert({ id: await documentIds.take(), title }); // Works offline, too.
    await forDocuments.replication.awaitDocumentPushed(document);
    console.log(JSON.stringify(document.toJSON()));
    process.exit();
}
