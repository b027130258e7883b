// The published contract suites under node:test, as plain JavaScript: runs on the oldest Node.js we promise.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { systemRuntime } from "tokenkeep";
import { filesystemStore } from "tokenkeep/filesystem";
import { memoryStore } from "tokenkeep/memory";
import { sqliteStore } from "tokenkeep/sqlite";
import {
  activityStoreContract,
  backplaneContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "tokenkeep/testing";
import "tokenkeep/web";
import "tokenkeep/web/express";

const expect = (actual) => ({
  toBe: (expected) => assert.ok(Object.is(actual, expected), `${actual} is not ${expected}`),
  toEqual: (expected) => assert.deepEqual(actual, expected),
});

function steeredRuntime() {
  let offset = 0;
  return {
    ...systemRuntime,
    now: () => systemRuntime.now() + offset,
    monotonicNow: () => systemRuntime.monotonicNow() + offset,
    advance: (ms) => {
      offset += ms;
    },
  };
}

async function openMemory() {
  const runtime = steeredRuntime();
  const store = memoryStore({ runtime });
  return { store, second: store, advance: runtime.advance, close: async () => {} };
}

const openSqlite = () =>
  openOnDisk((folder, runtime) => sqliteStore({ path: join(folder, "tokens.db"), runtime }));
const openFilesystem = () =>
  openOnDisk((folder, runtime) => filesystemStore({ folder: join(folder, "tokens"), runtime }));

async function openOnDisk(openStore) {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-oldest-"));
  const runtime = steeredRuntime();
  const [store, second] = [openStore(folder, runtime), openStore(folder, runtime)];
  return {
    store,
    second,
    advance: runtime.advance,
    fail: () => store.close(),
    async close() {
      await store.close();
      await second.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function allSuites(name, open, { canFail, messagesReachOthers }) {
  const runner = { name, test, expect, describe };
  const opening = (port) => async () => {
    const { store, second, ...opened } = await open();
    return { ...opened, [port]: store[port], second: second[port] };
  };
  blobStoreContract({ ...runner, open, capabilities: { canFail } });
  refreshLeaseContract({ ...runner, open: opening("lease"), capabilities: { canFail } });
  activityStoreContract({ ...runner, open: opening("activity") });
  blobAdminContract({
    ...runner,
    open: async () => {
      const opened = await open();
      return { ...opened, admin: opened.store.admin };
    },
  });
  let writes = 0;
  backplaneContract({
    ...runner,
    capabilities: { messagesReachOthers },
    open: async () => {
      const { store, second, ...opened } = await open();
      const create = { version: "v", ifVersion: null, ttlMs: 60_000 };
      const write = () => store.put(`key ${(writes += 1)}`, Uint8Array.of(1), create);
      return { ...opened, backplane: store.backplane, second: second.backplane, write };
    },
  });
}

allSuites("memory", openMemory, { canFail: false, messagesReachOthers: true });
allSuites("sqlite", openSqlite, { canFail: true, messagesReachOthers: false });
allSuites("filesystem", openFilesystem, { canFail: true, messagesReachOthers: true });
