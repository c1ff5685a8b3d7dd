/**
 * The sync with the service: one loop that sends the queue, follows the changes and waits for the next one.
 *
 * Sending and following take turns, so that no answer that is older than a write is shown after it. Of all windows that
 * share a copy one syncs, and the others show its state; when it is closed, another one takes over.
 */
import { ApiError, NoAnswer } from "./api.js";
import { push, reserveIds } from "./push.js";

/** A pause in typing after which the queue is sent. */
const TYPING_PAUSE_MS = 1000;
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** The end of a wait: there is something to send. */
const WOKEN = new DOMException("The sync was woken.", "AbortError");
/** The service will not answer this key otherwise until there is another one. */
const FINAL_STATES = { 401: "refused", 403: "forbidden" };

/** Reports each `change` of `state`: connecting, syncing, online, offline, busy, failed, refused or forbidden. */
export class Sync extends EventTarget {
  state = "connecting";
  reason = "";
  isLeader = false;
  #api;
  #copy;
  #channel;
  #stopped = new AbortController();
  #waiting = new AbortController();
  #typing = null;
  #retryMs = MIN_RETRY_MS;

  constructor(api, copy) {
    super();
    this.#api = api;
    this.#copy = copy;
    const name = `dreamscript-sync ${api.url}`;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#channel.postMessage({ question: "state" });
    navigator.locks.request(name, { signal: this.#stopped.signal }, () => this.#run()).catch(() => {});
  }

  stop() {
    clearTimeout(this.#typing);
    this.#stopped.abort(WOKEN);
    this.#waiting.abort(WOKEN);
    this.#channel.close();
  }

  /** Sync now. */
  wake() {
    clearTimeout(this.#typing);
    this.#waiting.abort(WOKEN);
    this.#channel.postMessage({ question: "sync" });
  }

  /** Sync when nobody has typed for a moment. */
  wakeAfterTyping() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.wake(), TYPING_PAUSE_MS);
  }

  async #run() {
    this.isLeader = true;
    while (!this.#stopped.signal.aborted && !Object.values(FINAL_STATES).includes(this.state)) {
      this.#waiting = new AbortController();
      try {
        await this.#round();
        this.#retryMs = MIN_RETRY_MS;
      } catch (error) {
        if (error !== WOKEN) await this.#recover(error);
      }
    }
  }

  /** Send the queue and read the changes. If there was nothing to do, wait for the next change. */
  async #round() {
    const isIdle = this.state === "online" && this.#copy.edits().every(({ problem }) => problem && !problem.isRetried);
    if (!isIdle && this.state === "online") this.#report("syncing");
    await push(this.#api, this.#copy);
    const since = await this.#copy.checkpoint();
    const answer = await this.#api.changes(since, { waits: isIdle, signal: this.#waiting.signal });
    await this.#copy.follow(answer);
    if (!answer.caught_up) return;
    await reserveIds(this.#api, this.#copy);
    this.#report("online");
  }

  async #recover(error) {
    // The checkpoint is too old, or belongs to another key.
    if (error.status === 410 || error.code === "invalid_cursor") return this.#copy.startAgain();
    const final = FINAL_STATES[error.status];
    if (final) return this.#report(final, error.message);
    const state = error instanceof NoAnswer ? "offline" : error instanceof ApiError ? "busy" : "failed";
    this.#report(state, error.message);
    const delay = Math.max(this.#retryMs * (0.75 + Math.random() / 2), (error.retrySeconds ?? 0) * 1000);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
    return this.#sleep(delay);
  }

  /** Wait until the time is over, or until somebody asks for a sync. */
  #sleep(milliseconds) {
    const { signal } = this.#waiting;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      signal.addEventListener("abort", resolve);
      setTimeout(resolve, milliseconds);
    });
  }

  #receive({ question, state, reason }) {
    if (state && !this.isLeader) this.#show(state, reason);
    if (question === "sync") this.#waiting.abort(WOKEN);
    if (question === "state" && this.isLeader) this.#channel.postMessage({ state: this.state, reason: this.reason });
  }

  #report(state, reason = "") {
    this.#channel.postMessage({ state, reason });
    this.#show(state, reason);
  }

  #show(state, reason) {
    Object.assign(this, { state, reason });
    this.dispatchEvent(new Event("change"));
  }
}
