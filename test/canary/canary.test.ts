/**
 * Every token, code, assertion, secret and key is a canary: with everything on tape that leaves the processes of a
 * long day, none of them is there.
 */
import { describe, expect, test, vi } from "vitest";
import type { Haystack, Leak } from "../../examples/demo/scan.ts";
import { createCast } from "./cast.ts";
import { drive, type Outcomes } from "./drive.ts";
import { OUTCOMES } from "./outcomes.ts";
import { driveStores, type DriveStore } from "./stores.ts";
import { createTape, tapConsole } from "./tape.ts";
import { createWindowScan } from "./windows.ts";

// A server's whole log of writes is searched, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

interface Evidence {
  readonly outcomes: Outcomes;
  /** Ways by which something left the process, and places where it lies. */
  readonly searched: readonly string[];
  /** The places of the store. */
  readonly dumped: readonly string[];
  readonly secrets: number;
  readonly leaks: readonly Leak[];
}

async function evidenceOf({ start }: DriveStore, sealed: boolean): Promise<Evidence> {
  const backend = await start();
  const tape = createTape();
  const giveBack = tapConsole(tape);
  try {
    const cast = createCast({ backend, tape, sealed });
    const { outcomes, spilled } = await drive(cast).finally(giveBack);
    // Before and after closing: a write-ahead log is gone then.
    const lying = await backend.dump();
    await cast.close();
    lying.push(...(await backend.dump()));
    const haystacks = [...tape.haystacks(), ...spilled, ...lying];
    const secrets = cast.secrets();
    const leaks = createWindowScan(secrets).find(haystacks);
    const namesOf = (places: readonly Haystack[]): string[] => places.map(({ name }) => name);
    return {
      outcomes,
      searched: namesOf(haystacks),
      dumped: namesOf(lying),
      secrets: secrets.length,
      leaks,
    };
  } finally {
    giveBack();
    await backend.close();
  }
}

/** Ways out of a process on which no token may be, sealed or not. */
const TALK = [
  "MSAL's log",
  "errors",
  "events",
  "leases",
  "activity rows",
  "messages to other processes",
  "metadata of results",
  "the list of accounts",
  "findings",
  "what the browser has",
  "what is printed of a cache and its keys",
];

describe.each(driveStores)("$name", (store) => {
  test("nothing that was issued, presented or used as a key leaves a process in clear", async () => {
    const { outcomes, searched, secrets, leaks } = await evidenceOf(store, true);
    expect(outcomes).toEqual(OUTCOMES);
    expect(searched).toEqual(expect.arrayContaining([...TALK, "what is said to the store"]));
    expect(secrets).toBeGreaterThan(100);
    expect(leaks).toEqual([]);
  });

  test("and the same search finds the tokens where sealing is off, in the store and nowhere else", async () => {
    const { dumped, leaks } = await evidenceOf(store, false);
    const foundIn = (names: readonly string[]): number =>
      new Set(leaks.filter(({ where }) => names.includes(where)).map(({ what }) => what)).size;
    expect(foundIn(["what is said to the store"])).toBeGreaterThan(40);
    expect(foundIn(dumped)).toBeGreaterThan(25);
    expect(leaks.filter(({ where }) => TALK.includes(where))).toEqual([]);
  });
});
