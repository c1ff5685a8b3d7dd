/**
 * Where the service's URL and the key are kept.
 *
 * The key is in sessionStorage, which the browser forgets with the tab, unless the person wants it to stay on this
 * device: then it is in IndexedDB. It is never part of a URL. The service's URL is no secret and always stays.
 */
import { openDatabase, result, transact } from "./database.js";

const NAME = "dreamscript-editor";
const KEY = "dreamscript-key";

/** Return `{url, key, isRemembered}`; url and key are null if there is none. */
export async function loadSession() {
  const { url = null, key = null } = (await values((store) => result(store.get("session")))) ?? {};
  return { url, key: sessionStorage.getItem(KEY) ?? key, isRemembered: key !== null };
}

export async function saveSession({ url, key, isRemembered }) {
  sessionStorage.removeItem(KEY);
  if (!isRemembered && key) sessionStorage.setItem(KEY, key);
  await values((store) => result(store.put(isRemembered ? { url, key } : { url }, "session")));
}

export async function forgetSession() {
  sessionStorage.removeItem(KEY);
  await values((store) => result(store.delete("session")));
}

async function values(work) {
  const database = await openDatabase(NAME);
  try {
    return await transact(database, ["values"], (store) => work(store("values")));
  } finally {
    database.close();
  }
}

/** Return the URL of a service without a slash at its end. Raises Error with a sentence for the person. */
export function checkedUrl(text) {
  let url;
  try {
    url = new URL(text.trim());
  } catch {
    throw new Error("This is not a URL. It begins with http:// or https://.");
  }
  if (!["http:", "https:"].includes(url.protocol)) throw new Error("The URL must begin with http:// or https://.");
  if (url.username || url.search || url.hash) throw new Error("The URL must not hold a key, a password or a query.");
  return url.href.replace(/\/+$/, "");
}

/** Return a key without the spaces around it. Raises Error with a sentence for the person. */
export function checkedKey(text) {
  const key = text.trim();
  if (!/^[!-~]+$/.test(key)) throw new Error("This is not a key: it holds spaces or characters that no key has.");
  return key;
}
