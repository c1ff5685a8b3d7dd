/** The Dreamscript Database API: one method for each request that the editor sends. */
import { TYPES } from "./values.js";

const REQUEST_SECONDS = 20;
const WAIT_SECONDS = 25;
const PAGE_SIZE = 500;

/** The service answered with an error; `code` and `reason` are those of its body. */
export class ApiError extends Error {
  constructor(status, { error, reason } = {}, retryAfter = null) {
    super(reason ?? `The service answered with status ${status}.`);
    this.status = status;
    this.code = error ?? null;
    this.retrySeconds = Number(retryAfter) || null;
  }
}

/** There was no answer: no network, no service, or a service that does not admit pages of this origin. */
export class NoAnswer extends Error {}

export class Api {
  #key;

  constructor(url, key) {
    this.url = url;
    this.#key = key;
  }

  /** The changes after `since`, or a first sync without it. If it `waits`, an answer comes with the first change. */
  changes(since, { waits = false, signal } = {}) {
    const query = new URLSearchParams({ include: "value", limit: PAGE_SIZE });
    if (since) query.set("since", since);
    if (waits) {
      query.set("feed", "longpoll");
      query.set("timeout", WAIT_SECONDS);
    }
    return this.#send("GET", `/changes?${query}`, { signal, seconds: REQUEST_SECONDS + (waits ? WAIT_SECONDS : 0) });
  }

  /** Carry out operations; the outcomes have the same order. `current` reports the items that got in the way. */
  async batch(type, operations, reservation) {
    const body = { operations, return: "current", ...(reservation && { reservation }) };
    const { outcomes } = await this.#send("POST", `/${TYPES[type].path}/batch`, { body });
    return outcomes;
  }

  /** Reserve ids for items that are created later, perhaps offline. */
  reserve(type, count) {
    return this.#send("POST", `/${TYPES[type].path}/reservations`, { body: { count } });
  }

  read(type, id) {
    return this.#send("GET", this.#path(type, id));
  }

  /** One page of versions, newest first: `{versions, cursor}`. The cursor, null at the end, leads to the next page. */
  async versions(type, id, cursor = null) {
    const headers = new Headers();
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : "";
    const versions = await this.#send("GET", `${this.#path(type, id)}/versions${query}`, { headers });
    const next = headers.get("x-next");
    return { versions, cursor: next && new URL(next).searchParams.get("cursor") };
  }

  /** Write the content of an earlier version as a new one. */
  restore(type, id, etag) {
    return this.#write(`${this.#path(type, id)}/restore`, { version: bare(etag) });
  }

  /** The versions of an item that was changed in two regions, and where they clash. */
  conflicts(type, id) {
    return this.#send("GET", `${this.#path(type, id)}/conflicts`);
  }

  /** Replace all versions of a conflict by `value`. */
  resolve(type, id, value, tags) {
    return this.#write(`${this.#path(type, id)}/resolve`, { value, supersedes: tags });
  }

  /** Send a POST that answers with an item: `{etag, value}`. */
  async #write(path, body) {
    const headers = new Headers();
    const value = await this.#send("POST", path, { body, headers });
    return { etag: headers.get("ETag"), value };
  }

  #path(type, id) {
    return `/${TYPES[type].path}/${id}`;
  }

  /** Send a request and return the JSON of its answer; its headers are copied into `headers`. Raises ApiError, NoAnswer. */
  async #send(method, path, { body, signal, seconds = REQUEST_SECONDS, headers } = {}) {
    const signals = [AbortSignal.timeout(seconds * 1000), ...(signal ? [signal] : [])];
    const options = {
      method,
      // The key travels in a header only: URLs end up in histories and logs.
      headers: { "X-API-Key": this.#key, ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.any(signals),
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    };
    let answer;
    let text;
    try {
      answer = await fetch(this.url + path, options);
      text = await answer.text();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw new NoAnswer(error.message);
    }
    const json = parsed(text);
    if (!answer.ok) throw new ApiError(answer.status, json, answer.headers.get("Retry-After"));
    if (json === undefined) throw new NoAnswer("The answer was not JSON.");
    for (const [name, value] of answer.headers) headers?.set(name, value);
    return json;
  }
}

/** Return a tag without quotes, as paths and bodies name versions. */
export const bare = (etag) => etag.replace(/^(?:W\/)?"|"$/g, "");

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Something in front of the service answered, such as a proxy.
  }
}
