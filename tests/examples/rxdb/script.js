// What several scenarios share: a script, changes to it, and clients that hold it.
import { Client, until } from './client.js';

const LINES = ['one', 'two', 'three', 'four', 'five', 'six'].map((line) => `${line}\n`);
export const SCRIPT = { title: 'Script', content: LINES.join('') };
export const replaceText = (from, to) => ({ content }) => ({ content: content.replace(from, to) });
export const find = (documents, id) => documents.find((each) => each.id === Number(id));

/** Return two clients that hold the same script, and its id. */
export async function two(url, key) {
    const [ada, bob] = [await Client.open(url, key), await Client.open(url, key)];
    const { id } = await ada.create(SCRIPT);
    await until(() => bob.document(id), 'the script reaches the other client');
    return [ada, bob, id];
}
