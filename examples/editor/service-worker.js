/**
 * Keeps the files of the editor, so that the page also starts without a network.
 *
 * A file comes from the network if that answers soon, so that a new version of the editor shows at once, and else from
 * the cache. Requests to the service go to another origin and do not pass here.
 */
const CACHE = "dreamscript-editor";
const NETWORK_MS = 3000;
const FILES = [
  "./",
  "icon.svg",
  "main.js",
  "js/api.js",
  "js/app.js",
  "js/copy.js",
  "js/database.js",
  "js/diff.js",
  "js/edits.js",
  "js/line-endings.js",
  "js/push.js",
  "js/session.js",
  "js/storage.js",
  "js/sync.js",
  "js/values.js",
  "styles/base.css",
  "styles/diff.css",
  "styles/item.css",
  "styles/layout.css",
  "styles/list.css",
  "styles/panel.css",
  "views/conflict.js",
  "views/connection.js",
  "views/diff.js",
  "views/dom.js",
  "views/hunks.js",
  "views/item.js",
  "views/list.js",
  "views/message.js",
  "views/notes.js",
  "views/panel.js",
  "views/problem.js",
  "views/section.js",
  "views/syncing.js",
  "views/versions.js",
];

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(FILES))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(self.registration.scope)) event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(NETWORK_MS) });
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch {
    return (await cache.match(request, { ignoreSearch: true })) ?? Response.error();
  }
}
