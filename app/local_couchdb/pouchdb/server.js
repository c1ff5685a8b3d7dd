// Serves PouchDB with CouchDB's HTTP API, on loopback, for machines without CouchDB.
//
//   node server.js DIRECTORY PORT
//
// DIRECTORY/admin contains "name:password" of the administrator, and DIRECTORY/data the databases. PORT 0 is any free
// one. When the server listens, it writes its URL to DIRECTORY/uri. docs/decisions/embedded-database.md explains each guard below.

"use strict";

const fs = require("fs");
const path = require("path");
const express = require("express");
const expressPouchDB = require("express-pouchdb");
const PouchDB = require("pouchdb");
const IndexUpdates = require("./index_updates");
const guardedStores = require("./stores");

const DATABASE_NAME = /^(_users|[a-z][a-z0-9_-]*)$/;
const OPEN_PATH = /^\/($|_session$|_utils(\/|$)|favicon\.ico$)/;
const MAX_BODY_BYTES = 8000000; // CouchDB's max_document_size.
const KEEP_ALIVE_MS = 150 * 1000; // Longer than any client keeps an idle connection, so that none meets a reset.
const REQUEST_TIMEOUT_MS = 600 * 1000; // Ends requests whose handler failed; an index may take this long to build.

function refuse(res, status, error, reason) {
  res.status(status).json({ error, reason });
}

// Anonymous clients get the welcome page, Fauxton and the login; only administrators create databases.
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

// A missing filter throws an uncaught exception; a continuous feed is never closed, even if its client has left.
function guardChanges(req, res, next) {
  if ([req.query.filter, req.query.view, req.body.filter].some((filter) => filter !== undefined)) {
    refuse(res, 501, "not_implemented", "The embedded database has no filters.");
  } else if (!["undefined", "normal", "longpoll"].includes(String(req.query.feed))) {
    refuse(res, 501, "not_implemented", "The embedded database has only the feeds normal and longpoll.");
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

// PouchDB never answers a request for no documents.
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

function guards(indexUpdates) {
  const router = express.Router();
  const json = express.json({ limit: MAX_BODY_BYTES });
  router.use(authorise);
  router.use(indexUpdates.middleware);
  router.all("/:db/_changes", json, guardChanges);
  router.post("/_replicate", json, guardReplicate);
  router.post("/:db/_bulk_get", json, guardBulkGet);
  return router;
}

// Express would answer with an HTML page that contains a stack trace.
function answerError(error, req, res, next) {
  if (res.headersSent) {
    next(error);
  } else if (error.status >= 400 && error.status < 500) {
    refuse(res, error.status, error.status === 413 ? "too_large" : "bad_request", error.message);
  } else {
    console.error(error);
    refuse(res, 500, "internal_server_error", "The request failed; the log of the database has the error.");
  }
}

// express-pouchdb builds its handlers at once, and the guards need the session that one of them establishes.
function insertAfterAuthentication(app, handler) {
  app.use(handler);
  const stack = app._router.stack;
  const cookies = stack.findIndex((layer) => layer.name === "cookieParser");
  if (cookies < 0) {
    throw new Error("cannot find express-pouchdb's authentication: its version is not the pinned one");
  }
  stack.splice(cookies + 2, 0, stack.pop());
}

// Validation replaces `_revisions` by those of the present document. A replicated revision would move to another place
// in the tree, so that a conflict is lost, and the hash of a new one would depend on them. An accessor prevents both.
function keepRevisions(doc) {
  if (doc) {
    const revisions = doc._revisions;
    Object.defineProperty(doc, "_revisions", { configurable: true, enumerable: true, get: () => revisions, set() {} });
  }
}

function guardRevisions(name, db, next) {
  const { bulkDocs, put } = db;
  db.bulkDocs = function (request, ...rest) {
    const docs = Array.isArray(request) ? request : request.docs;
    if (Array.isArray(docs)) {
      docs.forEach(keepRevisions);
    }
    return bulkDocs.call(this, request, ...rest);
  };
  db.put = function (doc, ...rest) {
    keepRevisions(doc);
    return put.call(this, doc, ...rest);
  };
  return next();
}

function configure(app, section, key, value) {
  return new Promise((resolve, reject) => {
    app.couchConfig.set(section, key, value, (error) => (error ? reject(error) : resolve()));
  });
}

function buildApp(directory, indexUpdates) {
  const app = expressPouchDB({
    inMemoryConfig: true,
    logPath: path.join(directory, "pouchdb.log"),
    overrideMode: {
      // Documents in _replicator can crash its scheduler; the others are not needed, and some evaluate code.
      exclude: ["replicator", "routes/special-test-auth", "routes/vhosts", "routes/rewrite", "routes/show",
        "routes/list", "routes/update", "routes/temp-views", "routes/http-log", "routes/log"],
    },
  });
  app.disable("x-powered-by");
  insertAfterAuthentication(app, guards(indexUpdates));
  app.dbWrapper.registerWrapper(guardRevisions);
  app.use(answerError);
  return app;
}

function announce(directory, server) {
  const uri = path.join(directory, "uri");
  fs.writeFileSync(`${uri}.new`, `http://127.0.0.1:${server.address().port}/\n`);
  fs.renameSync(`${uri}.new`, uri);
}

function fail(error) {
  console.error("The embedded database could not start:", error);
  process.exit(1);
}

async function main(directory, port) {
  const [name, password] = fs.readFileSync(path.join(directory, "admin"), "utf8").trim().split(":");
  const data = path.join(directory, "data");
  fs.mkdirSync(data, { recursive: true });
  const indexUpdates = new IndexUpdates();
  const app = buildApp(directory, indexUpdates);
  await configure(app, "log", "level", "warning");
  await configure(app, "couchdb", "max_document_size", MAX_BODY_BYTES);
  await configure(app, "admins", name, password);
  await app.setPouchDB(PouchDB.defaults({ prefix: data + path.sep, db: guardedStores(data) }));
  const server = app.listen(port, "127.0.0.1", () => {
    const authorization = `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
    indexUpdates.listen(`http://127.0.0.1:${server.address().port}`, authorization);
    announce(directory, server);
  });
  server.on("error", fail); // Such as a port that another process has taken.
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.timeout = REQUEST_TIMEOUT_MS;
}

// A request that PouchDB fails to handle must not end the server.
process.on("uncaughtException", (error) => console.error("A request failed:", error));
process.on("unhandledRejection", (error) => console.error("A request failed:", error));
process.on("SIGTERM", () => process.exit(0)); // Acknowledged writes are on disk; even kill -9 loses none.

main(process.argv[2], Number(process.argv[3])).catch(fail);
