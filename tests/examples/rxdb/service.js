// The service as scenarios look at it directly, without RxDB.
import assert from 'node:assert/strict';

import { until } from './client.js';

/** Send a request, and return its status and its JSON. */
export async function api(url, key, method, path, value) {
    const headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
    const response = await fetch(url + path, { method, headers, body: value && JSON.stringify(value) });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
}

/** Return all documents of the service. */
export async function listed(url, key) {
    const items = [];
    for (let path = '/documents?limit=1000'; path; ) {
        const { body, headers } = await api(url, key, 'GET', path);
        items.push(...body);
        path = headers.get('x-next')?.slice(url.length);
    }
    return items;
}

const asText = (items) => JSON.stringify(items.map((item) => Object.entries(item).sort()));

/** Wait until the clients have sent everything and hold exactly the documents of the service. Return these. */
export async function sameEverywhere(url, key, clients) {
    let documents;
    const areSame = async () => {
        const held = [];
        for (const client of clients) {
            if (await client.isBusy()) return false;
            held.push(asText(await client.documentsById()));
        }
        documents = await listed(url, key);
        return held.every((each) => each === asText(documents));
    };
    await until(areSame, 'the clients and the service agree', 50);
    return documents;
}
