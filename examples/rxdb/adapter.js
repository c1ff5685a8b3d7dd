// Replicates RxDB collections with Dreamscript Database. docs/offline.md explains each step.
import { Subject } from 'rxjs';
import { replicateRxCollection } from 'rxdb/plugins/replication';
import { deepEqual } from 'rxdb/plugins/utils';

const RESERVED_IDS = 500;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
/** Connect to a service. `call` raises an error with `status`, `code` and `reason` unless the answer is a success. */
export function connect(url, key, fetch = globalThis.fetch) {
    const headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
    const call = async (method, path, value) => {
        const signal = AbortSignal.timeout(30_000);
        const response = await fetch(url + path, { method, headers, signal, body: JSON.stringify(value) });
        const [answer, { status }] = [await response.json(), response];
        if (response.ok) return answer;
        const seconds = Number(response.headers.get('Retry-After'));
        throw Object.assign(new Error(`${status}: ${answer.reason}`), answer, { status, code: answer.error, seconds });
    };
    return { call, open: (path, signal) => fetch(url + path, { headers, signal }) };
}

/** Keep reserved ids for items of a type, 'document' or 'project', in the collection `reservations`. */
export function reserveIds({ service, type, reservations }) {
    const all = () => reservations.find({ selector: { type } }).exec();
    const isUsable = (each) => each.used < each.ids.length && Date.parse(each.expires_at) > Date.now();
    return {
        /** Return an id for a new item, without a request. */
        async take() {
            for (const each of (await all()).filter(isUsable)) {
                let id;
                await each.incrementalModify((data) => {
                    id = data.ids[data.used];
                    return { ...data, used: data.used + 1 };
                });
                if (id) return String(id);
            }
            throw new Error(`No reserved id for a ${type} is left. The next pull reserves more.`);
        },
        async fill() {
            if ((await all()).some((each) => isUsable(each) && each.used < RESERVED_IDS / 2)) return;
            const answer = await service.call('POST', `/${type}s/reservations`, { count: RESERVED_IDS });
            await reservations.insert({ ...answer, key: `${type}:${answer.ids[0]}`, type, used: 0 });
        },
        drop: async () => Promise.all((await all()).map((each) => each.incrementalPatch({ used: each.ids.length }))),
        reservationOf: async (id) => (await all()).find(({ ids }) => ids.includes(Number(id)))?.reservation,
    };
}

/** Replicate `collection`. Return RxDB's `replication`, and `retry` and `discard` for refused writes in `outbox`. */
export function replicate({ service, type, collection, outbox, ids, after, retryTime }) {
    const names = Object.keys(collection.schema.jsonSchema.properties).filter((name) => !/^(id$|_)/.test(name));
    // Latest states by id, undefined if deleted, until the collection has them: RxDB ignores them during local changes.
    const offered = new Map();
    let [ahead, queue, stream$, isReread] = [{}, Promise.resolve(), new Subject(), false];
    const present = (item) => names.filter((name) => item[name] != null).map((name) => [name, item[name]]);
    /** Return the members of an item that the schema has, undefined if the item is deleted. */
    const members = (item) => (item && !item._deleted ? Object.fromEntries(present(item)) : undefined);
    async function pull(checkpoint, batchSize) {
        await ids?.fill();
        if (!isReread) isReread = await reread();
        const since = ahead.from === checkpoint?.next ? ahead.next : checkpoint?.next;
        const { fresh, next } = await changes(since, batchSize).catch(async (error) => {
            if (!since || !['gone', 'invalid_cursor'].includes(error.code)) throw error;
            await ids?.drop(); // A restored database does not know them.
            const all = await changes(undefined, Infinity);
            for (const { id } of await collection.find().exec()) all.fresh.set(id, all.fresh.get(id));
            return all;
        });
        const documents = await offer(fresh, batchSize);
        ahead = documents.length ? {} : { from: checkpoint?.next, next }; // RxDB stores it only with documents.
        return { documents, checkpoint: { next } };
    }
    /** Return the changed states by id, at least `size` unless there are no more. */
    async function changes(next, size) {
        const fresh = new Map();
        for (let isCaughtUp = false; !isCaughtUp && fresh.size < size; ) {
            const query = `type=${type}&include=value&limit=1000${next ? `&since=${next}` : ''}`;
            const page = await service.call('GET', `/changes?${query}`);
            for (const { id, value } of page.changes) fresh.set(String(id), value);
            [next, isCaughtUp] = [page.next, page.caught_up];
        }
        return { fresh, next };
    }
    /** Return the `fresh` states as documents, and those offered before that the collection does not have. */
    async function offer(fresh, batchSize) {
        const held = await collection.findByIds([...fresh.keys(), ...offered.keys()]).exec();
        const isTaken = ([id, value]) => deepEqual(members(value), members(held.get(id)?.toJSON()));
        const taken = [...offered].filter(isTaken).map(([id]) => id);
        await outbox.find({ selector: { type, id: { $in: taken }, status: 200 } }).remove();
        for (const id of [...fresh.keys(), ...taken]) offered.delete(id);
        // A full batch makes RxDB pull again at once, which earlier states alone must not do.
        const all = [...fresh, ...[...offered].slice(0, Math.max(0, batchSize - 1 - fresh.size))];
        for (const [id, value] of fresh) offered.set(id, value);
        const tombstone = (id) => held.has(id) && { ...held.get(id).toJSON(), _deleted: true }; // Schemas require some.
        return all.map(([id, value]) => (value ? { ...members(value), id } : tombstone(id))).filter(Boolean);
    }
    /** Push local changes. RxDB takes all for accepted: refused ones are in the outbox, merged items come by a pull. */
    async function push(rows) {
        const selector = { type, id: { $in: rows.map((row) => row.newDocumentState.id) } };
        const records = (await outbox.find({ selector }).exec()).map((record) => record.toMutableJSON());
        // A write whose answer was lost is repeated as it was, so that later edits cannot clash with it.
        const unanswered = records.filter(({ status }) => status === 0);
        const [done, writes, superseded] = [await send(unanswered), [], []];
        for (const { assumedMasterState, newDocumentState } of rows) {
            const [id, assumed, value] = [newDocumentState.id, members(assumedMasterState), members(newDocumentState)];
            const isContinued = (each) => each.id === id && each.status >= 400 && deepEqual(each.value, assumed);
            const earlier = unanswered.find((each) => each.id === id) ?? records.find(isContinued);
            const base = !earlier ? assumed : done.has(earlier) ? earlier.value : earlier.base;
            if (earlier && !done.has(earlier)) superseded.push(earlier.key);
            if (earlier && deepEqual(base, value)) continue;
            const reservation = base || !value ? undefined : await ids?.reservationOf(id);
            writes.push({ key: `${type}:${id}`, type, id, base, value, reservation, status: 0 });
        }
        await note(writes);
        await outbox.bulkRemove(superseded);
        await send(writes);
        return [];
    }
    const note = (records) => Promise.all(records.map((each) => outbox.upsert(JSON.parse(JSON.stringify(each)))));
    /** Send writes and note their outcomes. Return those that are done. Raise an error if some have to be repeated. */
    async function send(writes) {
        const [outcomes, done, noted, removed] = [await post(writes), new Set(), [], []];
        const failure = outcomes.find(({ status }) => status === 429 || status >= 500);
        if (failure) throw Object.assign(new Error(failure.reason), failure);
        for (const [place, { status, error, reason, merge, current }] of outcomes.entries()) {
            const write = writes[place];
            const isOver = write.value ? write.reservation && status === 409 : status === 404 || !write.base;
            const isDone = status < 300 || isOver; // An item under a reserved id is ours; others have edited it.
            if (isDone) done.add(write);
            if (isDone ? !current : !write.status) removed.push(write.key);
            if (!isDone && !write.status) write.key += `:${Date.now()}`;
            if (!isDone || current) noted.push({ ...write, status: isDone ? 200 : status, error, reason, merge });
            if (current) offered.set(write.id, current.omitted ? await read(write.id) : current.value);
            else if (status === 404) offered.set(write.id, undefined);
            else if (isDone) offered.delete(write.id);
        }
        await note(noted);
        await outbox.bulkRemove(removed);
        if (offered.size) stream$.next('RESYNC');
        return done;
    }
    /** Return the outcomes of writes. A batch that is refused as a whole or has two reservations is sent in parts. */
    async function post(writes) {
        const [reservation, another] = new Set(writes.map((write) => write.reservation).filter(Boolean));
        if (!writes.length) return [];
        if (!another) {
            const body = { return: 'current', operations: writes.map(operation), reservation };
            const answer = await service.call('POST', `/${type}s/batch`, body).catch((error) => ({ error }));
            if (answer.outcomes) return answer.outcomes;
            if (![400, 403, 413].includes(answer.error.status)) throw answer.error;
            if (answer.error.status === 403 || writes.length === 1) return writes.map(() => answer.error);
        }
        const middle = writes.length >> 1;
        return [...(await post(writes.slice(0, middle))), ...(await post(writes.slice(middle)))];
    }
    function operation({ id, base, value, reservation }) {
        if (!value) return { op: 'delete', id: Number(id), if_value: base };
        if (reservation) return { op: 'create', id: Number(id), value };
        return { op: 'merge', id: Number(id), base: base ?? value, value };
    }
    const unlessMissing = (error) => ([403, 404].includes(error.status) ? undefined : Promise.reject(error));
    const read = (id) => service.call('GET', `/${type}s/${id}`).catch(unlessMissing);
    /** Read the items again whose outcomes the collection may not have because of a reload. */
    async function reread() {
        const records = await outbox.find({ selector: { type, status: { $in: [200, 404, 409, 412] } } }).exec();
        for (const { id } of records) offered.set(id, await read(id));
        return true;
    }
    // The answers of pulls and pushes have an order, since they run one after the other.
    const inTurn = (work) => (queue = queue.catch(() => {}).then(work));
    const waitLonger = (error) => pause(1000 * (error.seconds || 0)).then(() => Promise.reject(error));
    const projects = async () => after?.startPromise.then(() => after.internalReplicationState.streamQueue.up);
    const replication = replicateRxCollection({
        collection,
        replicationIdentifier: `dreamscript-${type}s`,
        retryTime,
        pull: { handler: (...given) => inTurn(() => pull(...given)).catch(waitLonger), stream$ },
        push: {
            handler: (rows) => projects().then(() => inTurn(() => push(rows))).catch(waitLonger),
            waitBeforePersist: () => pause(200), // Edits within this time are one push, to stay within the rate limit.
        },
    });
    const stop = new AbortController();
    replication.onCancel.push(() => stop.abort());
    /** Pull whenever the stream brings something, even a heartbeat: a pull without changes costs no rate. */
    async function listen() {
        const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(60_000)]); // A dead connection is silent.
        const response = await service.open(`/changes?feed=eventsource&since=now&type=${type}`, signal);
        for (const reader = response.body.getReader(); !(await reader.read()).done; ) stream$.next('RESYNC');
    }
    const listenAgain = () => stop.signal.aborted || listen().catch(() => {}).then(() => pause(1000)).then(listenAgain);
    replication.startPromise.then(listenAgain);
    const discard = async (record) => {
        await record.incrementalPatch({ status: 200 });
        await reread();
        stream$.next('RESYNC');
    };
    const turn = (work) => (record) => inTurn(() => work(record));
    return { replication, discard: turn(discard), retry: turn((record) => send([record.toMutableJSON()])) };
}
