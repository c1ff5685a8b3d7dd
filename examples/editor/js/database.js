/** IndexedDB with promises. */

const VERSION = 1;

/** Open the database of this name, and create its stores on the first use. */
export async function openDatabase(name) {
  const request = indexedDB.open(name, VERSION);
  request.onupgradeneeded = () => {
    const database = request.result;
    database.createObjectStore("items", { keyPath: "key" }); // As the service has them.
    database.createObjectStore("edits", { keyPath: "key" }); // The queue.
    database.createObjectStore("notes", { keyPath: "number", autoIncrement: true }); // What happened.
    database.createObjectStore("values"); // Single values, such as the checkpoint.
  };
  const database = await result(request);
  // Another window wants to remove the database, or to open a newer version of it.
  database.onversionchange = () => database.close();
  return database;
}

export function deleteDatabase(name) {
  return result(indexedDB.deleteDatabase(name));
}

/** Run `work` in one transaction; return its result as soon as everything is stored. It may await only `result`. */
export async function transact(database, stores, work) {
  const transaction = database.transaction(stores, "readwrite");
  const finished = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () =>
      reject(transaction.error ?? new Error("The transaction was aborted."));
  });
  finished.catch(() => {}); // It is awaited below, unless `work` fails first.
  const value = await work((name) => transaction.objectStore(name));
  await finished;
  return value;
}

/** Return the result of a request. */
export function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
