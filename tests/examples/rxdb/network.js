// A network that can be switched off, slowed down, and cut before or after each request.

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Network {
    /** The milliseconds that each request takes longer. */
    latency = 0;
    /** Returns 'before' or 'after' for a request whose connection is to be cut then, undefined for others. */
    cut = () => undefined;
    #isOnline = true;
    #connection = new AbortController();

    get isOnline() {
        return this.#isOnline;
    }

    /** Going offline cuts the requests in flight, streams too. */
    set isOnline(isOnline) {
        this.#isOnline = isOnline;
        if (isOnline) return;
        this.#connection.abort(new TypeError('fetch failed'));
        this.#connection = new AbortController();
    }

    async fetch(url, { signal, ...options }) {
        const request = `${options.method ?? 'GET'} ${new URL(url).pathname}`;
        const cut = this.isOnline ? this.cut(request) : 'before';
        if (cut === 'before') throw new TypeError('fetch failed');
        const both = AbortSignal.any([signal, this.#connection.signal]);
        await pause(this.latency);
        const response = await fetch(url, { ...options, signal: both });
        if (cut !== 'after') return response;
        await response.body?.cancel();
        throw new TypeError('fetch failed');
    }
}
