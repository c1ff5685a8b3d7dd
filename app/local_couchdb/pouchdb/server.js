// Serves PouchDB over HTTP as CouchDB would, on loopback, to machines that have no CouchDB.
//
//   node server.js DIRECTORY
//
// DIRECTORY/admin holds "name:password" of the administrator; databases live in DIRECTORY/data; the URL under
// which the server listens is written to DIRECTORY/uri once it does. What each guard below is for, and how it
// was measured, is told in docs/decisions/embedded-database.md.

"use strict";

const fs = require("fs");
const path = require("path");
const express = require("express");
const expressPouchDB = require("express-pouchdb");
const PouchDB = require("pouchdb");

const DATABASE_NAME = /^(_users|[a-z][a-z0-9_-]*)$/;
const OPEN_PATH = /^\/($|_session$|_utils(\/|$)|favicon\.ico$)/;
const LARGEST_BODY = 8000000; // CouchDB's own max_document_size.
const KEEP_ALIVE = 150 * 1000; // Longer than any client keeps an idle connection, so none meets a reset.
const LONGEST_SILENCE = 600 * 1000; // A request whose handler died is closed at last; an index may build this long.

function refuse(res, status, error, reason) {
  res.status(status).json({ error, reason });
}

// Whoever is not known sees the welcome, Fauxton and the login; only an administrator makes databases.
function authorise(req, res, next) {
  const user = req.couchSession.userCtx;
  const segments = req.path.split("/").filter(Boolean);
  const administers = segments.length === 1 && ["PUT", "DELETE"].includes(req.method);
  if (user.name === null && !OPEN_PATH.test(req.path)) {
    refuse(res, 401, "unauthorized", "You are not authorized to access this server.");
  } else if ((administers || segments[0] === "_replicate") && !user.roles.includes("_admin")) {
    refuse(res, 403, "forbidden", "You are not a server admin.");
  } else if (administers && !DATABASE_NAME.test(segments[0])) {
    refuse(res, 400, "illegal_database_name", "Only lower-case letters, digits, _ and - are allowed.");
  } else {
    next();
  }
}

// A filter that is missing throws where nobody catches it; a continuous feed outlives its client for ever.
function guardChanges(req, res, next) {
  if ([req.query.filter, req.query.view, req.body.filter].some((filter) => filter !== undefined)) {
    refuse(res, 501, "not_implemented", "The embedded database has no filters.");
  } else if (!["undefined", "normal", "longpoll"].includes(String(req.query.feed))) {
    refuse(res, 501, "not_implemented", "The embedded database has no feed but normal and longpoll.");
  } else {
    next();
  }
}

function guardReplicate(req, res, next) {
  const { source, target, filter } = req.body;
  if (filter !== undefined) {
    refuse(res, 501, "not_implemented", "The embedded database has no filters.");
  } else if (typeof source !== "string" || typeof target !== "string") {
    refuse(res, 400, "bad_request", "source and target must be names or URLs of databases.");
  } else {
    next();
  }
}

// PouchDB counts answers down to none, and of none it never sees the last.
function guardBulkGet(req, res, next) {
  const docs = req.body.docs;
  if (!Array.isArray(docs) || !docs.every((doc) => doc && typeof doc.id === "string")) {
    refuse(res, 400, "bad_request", "docs must be a list of objects with an id.");
  } else if (docs.length === 0) {
    res.json({ results: [] });
  } else {
    next();
  }
}

function guards() {
  const router = express.Router();
  const json = express.json({ limit: LARGEST_BODY });
  router.use(authorise);
  router.all("/:db/_changes", json, guardChanges);
  router.post("/_replicate", json, guardReplicate);
  router.post("/:db/_bulk_get", json, guardBulkGet);
  return router;
}

// Express would answer with a page of HTML that shows where in the code an error came from.
function answerError(error, req, res, next) {
  if (res.headersSent) {
    next(error);
  } else if (error.status >= 400 && error.status < 500) {
    refuse(res, error.status, error.status === 413 ? "too_large" : "bad_request", error.message);
  } else {
    console.error(error);
    refuse(res, 500, "internal_server_error", "The request failed; the log of the database tells how.");
  }
}

// express-pouchdb builds its whole chain at once, and the guards need the session that it establishes.
function insertAfterAuthentication(app, handler) {
  app.use(handler);
  const stack = app._router.stack;
  const cookies = stack.findIndex((layer) => layer.name === "cookieParser");
  if (cookies < 0) {
    throw new Error("express-pouchdb's authentication was not found: its version is not the pinned one");
  }
  stack.splice(cookies + 2, 0, stack.pop());
}

function configure(app, section, key, value) {
  return new Promise((resolve, reject) => {
    app.couchConfig.set(section, key, value, (error) => (error ? reject(error) : resolve()));
  });
}

function buildApp(directory) {
  const app = expressPouchDB({
    inMemoryConfig: true,
    logPath: path.join(directory, "pouchdb.log"),
    overrideMode: {
      // The scheduler of _replicator dies of its documents; the others nobody needs here, and some evaluate code.
      exclude: ["replicator", "routes/special-test-auth", "routes/vhosts", "routes/rewrite", "routes/show",
        "routes/list", "routes/update", "routes/temp-views", "routes/http-log", "routes/log"],
    },
  });
  app.disable("x-powered-by");
  insertAfterAuthentication(app, guards());
  app.use(answerError);
  return app;
}

function announce(directory, server) {
  const uri = path.join(directory, "uri");
  fs.writeFileSync(`${uri}.new`, `http://127.0.0.1:${server.address().port}/\n`);
  fs.renameSync(`${uri}.new`, uri);
}

async function main(directory) {
  const [name, password] = fs.readFileSync(path.join(directory, "admin"), "utf8").trim().split(":");
  const data = path.join(directory, "data");
  fs.mkdirSync(data, { recursive: true });
  const app = buildApp(directory);
  await configure(app, "log", "level", "warning");
  await configure(app, "couchdb", "max_document_size", LARGEST_BODY);
  await configure(app, "admins", name, password);
  await app.setPouchDB(PouchDB.defaults({ prefix: data + path.sep }));
  const server = app.listen(0, "127.0.0.1", () => announce(directory, server));
  server.keepAliveTimeout = KEEP_ALIVE;
  server.timeout = LONGEST_SILENCE;
}

// One request that PouchDB fails to handle must not take everybody's database with it.
process.on("uncaughtException", (error) => console.error("A request died:", error));
process.on("unhandledRejection", (error) => console.error("A request died:", error));
process.on("SIGTERM", () => process.exit(0)); // What was acknowledged is on disk: kill -9 loses nothing either.

main(process.argv[2]).catch((error) => {
  console.error("The embedded database could not start:", error);
  process.exit(1);
});
