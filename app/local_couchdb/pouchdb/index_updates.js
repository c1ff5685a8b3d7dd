// Brings the indexes of a database up to date soon after writes, as CouchDB's `ken` does.
//
// PouchDB updates an index only when its view is read, and that read waits. So each view is read after writes, for no
// rows: through HTTP, since such a read is the same as anyone else's.

"use strict";

const DELAY_MS = 1000; // From the first write to the update; the writes in between share it.

module.exports = class IndexUpdates {
  constructor() {
    this.databases = new Map(); // By name: "waiting", "running", or "again" if there were writes during an update.
  }

  // The server listens at `url`; `authorization` is an administrator's header.
  listen(url, authorization) {
    this.url = url;
    this.headers = { Accept: "application/json", Authorization: authorization };
  }

  // Express's middleware: notices the writes that succeed. They are 201, except deletions by DELETE.
  get middleware() {
    return (req, res, next) => {
      const database = req.path.split("/")[1];
      res.on("finish", () => res.statusCode === 201 && this.schedule(database));
      next();
    };
  }

  schedule(database) {
    const state = this.databases.get(database);
    if (state === undefined) {
      this.databases.set(database, "waiting");
      setTimeout(() => this.run(database), DELAY_MS).unref();
    } else if (state === "running") {
      this.databases.set(database, "again");
    }
  }

  async run(database) {
    this.databases.set(database, "running");
    try {
      await this.update(encodeURIComponent(database));
    } catch (error) {
      console.error("An index could not be updated:", error.message); // The next write tries again.
    }
    const isOutdated = this.databases.get(database) === "again";
    this.databases.delete(database);
    if (isOutdated) {
      this.schedule(database);
    }
  }

  async update(database) {
    const { rows = [] } = await this.read(`${database}/_all_docs?startkey="_design/"&endkey="_design0"&include_docs=true`);
    for (const { id, doc } of rows) {
      for (const view of Object.keys(doc.views || {})) {
        await this.read(`${database}/${id}/_view/${view}?limit=0&reduce=false`);
      }
    }
  }

  // Returns the body of any answer; one for a database that has been deleted has no rows.
  async read(target) {
    const response = await fetch(`${this.url}/${target}`, { headers: this.headers });
    return response.json();
  }
};
