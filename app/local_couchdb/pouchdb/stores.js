// Opens LevelDB stores for PouchDB that refuse all writes after a failed one, and ends the process once the disk works.
//
// A write that fails on a full disk leaves a part of itself in LevelDB's log. Those after it may succeed, and are lost
// when the log is read again: measured, a document acknowledged with 201 was 404 after a restart. Only opening the files
// again mends a store, and only a new process does that for certain. Whoever started this one restarts it
// (app/local_couchdb/restarts.py).

"use strict";

const fs = require("fs");
const path = require("path");
const leveldown = require("leveldown"); // A dependency of PouchDB, which has its version.

const CHECK_MS = 1000;
const PROBE_BYTES = 8 * 1024 * 1024; // Twice LevelDB's write buffer, so that the restarted server can work.
const IO_ERROR = 74; // EX_IOERR of sysexits.h.

function takesWrites(probe) {
  try {
    fs.writeFileSync(probe, Buffer.alloc(PROBE_BYTES), { flush: true });
    return true;
  } catch (error) {
    return false;
  } finally {
    fs.rmSync(probe, { force: true });
  }
}

// Returns the option `db` of PouchDB: a function that opens the store at a location.
module.exports = function guardedStores(directory) {
  const probe = path.join(directory, "probe");
  let isFailing = false;

  function awaitDisk(error) {
    console.error("A write failed; until a restart its database takes no others:", error.message);
    if (isFailing) {
      return;
    }
    isFailing = true;
    setInterval(() => {
      if (takesWrites(probe)) {
        console.error("the disk takes writes again, after:", error.message);
        process.exit(IO_ERROR);
      }
    }, CHECK_MS);
  }

  function LevelDOWN(location) {
    const store = leveldown(location);
    let failure = null;
    for (const name of ["_put", "_del", "_batch"]) {
      const write = store[name].bind(store);
      store[name] = (...args) => {
        const callback = args.pop();
        if (failure) {
          process.nextTick(callback, failure);
          return;
        }
        write(...args, (error) => {
          if (error && !failure) {
            failure = error;
            awaitDisk(error);
          }
          callback(error);
        });
      };
    }
    return store;
  }
  LevelDOWN.destroy = leveldown.destroy;
  return LevelDOWN;
};
