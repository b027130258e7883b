/** A store with names is a store but for the order of its rows: the published contract, also while names change and for processes on both sides. */
import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { nameKeyObject } from "../../src/names/naming.ts";
import { nameStore } from "../../src/names/named-store.ts";
import { namingsOf, type NameKeys } from "../../src/names/namings.ts";
import type { Store } from "../../src/store/store.ts";
import {
  activityStoreContract,
  blobAdminContract,
  blobStoreContract,
  refreshLeaseContract,
} from "../../src/testing/contract/index.ts";
import { fakeRuntime } from "../adapters/fake-runtime.ts";
import { testKeys } from "../support/world.ts";

const [OLD, NEXT] = [1, 2].map((fill) => nameKeyObject(new Uint8Array(32).fill(fill), "key"));
const key = OLD!;
const next = NEXT!;

/** Two processes that share a store, by what they know of its names. */
const fleets: readonly (readonly [string, NameKeys, NameKeys])[] = [
  ["one name key", { key }, { key }],
  ["the next name key is known", { key, next }, { key, next }],
  ["a process follows, another one moves", { key, next }, { key: next, previous: key }],
  ["a process moves, another one follows", { key: next, previous: key }, { key, next }],
  ["both move", { key: next, previous: key }, { key: next, previous: key }],
  ["names were in clear", { key: "clear", next: key }, { key, previous: "clear" }],
];

/** Names are listed in an order of their own. */
const NOT_PROMISED = new Set([
  "list is by account key, ascending, at most limit on a page, with no cursor on the last",
  "a row that exists during the whole listing is listed exactly once, whatever is written meanwhile",
]);
/** Of two outcomes of one account that are told at the moment when its row moves, one may be lost. */
const NOT_WHILE_MOVING = new Set(["of 20 writers at once exactly one writes the row"]);

describe.each(fleets)("%s", (fleet, ours, theirs) => {
  const isMoving = ours.next !== undefined || ours.previous !== undefined;
  const kept = (title: string): boolean =>
    !NOT_PROMISED.has(title) && !(isMoving && NOT_WHILE_MOVING.has(title));
  const runner = {
    name: fleet,
    test: (title: string, check: () => Promise<void>) => kept(title) && test(title, check),
    expect,
    describe,
  };
  function open() {
    const runtime = fakeRuntime();
    const store = memoryStore({ runtime });
    const named = (names: NameKeys): Required<Store> => {
      const namings = namingsOf("tokenkeep", names);
      const sealer = createSealer(testKeys(), runtime);
      const options = { namings, sealer, namespace: "tokenkeep", runtime, emit: () => undefined };
      return nameStore(store, options) as Required<Store>;
    };
    return {
      store: named(ours),
      second: named(theirs),
      advance: (ms: number) => runtime.advance(ms),
      close: () => Promise.resolve(),
    };
  }

  blobStoreContract({ ...runner, open: () => Promise.resolve(open()) });
  activityStoreContract({
    ...runner,
    open: () => {
      const opened = open();
      return Promise.resolve({ ...opened, activity: opened.store.activity, second: opened.second.activity });
    },
  });
  blobAdminContract({
    ...runner,
    open: () => {
      const opened = open();
      return Promise.resolve({ ...opened, admin: opened.store.admin });
    },
  });
  refreshLeaseContract({
    ...runner,
    open: () => {
      const opened = open();
      return Promise.resolve({ ...opened, lease: opened.store.lease, second: opened.second.lease });
    },
  });
});
