import { expect, test } from "vitest";
import { generateKey, systemRuntime, type RekeyResult } from "../../src/index.ts";
import type { Browser, Page } from "./browser.ts";
import type { StorePlace } from "./evidence.ts";
import { keyIdsIn } from "./lying.ts";
import type { ChildHandle } from "./processes.ts";
import { ADA, BEN, CLEO, playScenario, type ExpectedCalls, type Scenario } from "./scenario.ts";

const KEYS = { first: key("first"), second: key("second"), third: key("third") };
const FILES = ["keys-0", "keys-1", "keys-2"] as const;

function key(id: string): string {
  return generateKey(systemRuntime, id);
}

const text = (...ids: (keyof typeof KEYS)[]): string => ids.map((id) => KEYS[id]).join("\n");

interface Traffic {
  /** Stops, and says what every request was answered with. */
  stop(): Promise<readonly Page[]>;
  /** Resolves when so many more requests have been answered. */
  pass(count: number): Promise<void>;
}

/** Everybody asks both web apps by turns, all the time. */
function startTraffic(origins: readonly string[], people: readonly Browser[]): Traffic {
  const pages: Page[] = [];
  let isOver = false;
  let arrived = (): void => undefined;
  const each = people.map(async (person) => {
    for (let turn = 0; !isOver; turn += 1) {
      pages.push(await person.get(`${origins[turn % origins.length]!}/me`));
      arrived();
    }
  });
  // A scenario that fails ends the processes under the requests.
  for (const asking of each) asking.catch(() => arrived());
  return {
    async stop() {
      isOver = true;
      await Promise.all(each);
      return pages;
    },
    async pass(count) {
      const until = pages.length + count;
      while (pages.length < until) await new Promise<void>((resolve) => (arrived = resolve));
    },
  };
}

test.each(["sqlite", "filesystem"] as const)(
  "R29: two rotations under traffic in three processes, and a rekey, over %s: nobody signs in again, nothing is missed, nothing is left under an old key",
  (store) =>
    playScenario((scenario) => rotateTwice(scenario, { store, storePath: scenario.storePath }), { store }),
);

async function rotateTwice(scenario: Scenario, place: StorePlace): Promise<ExpectedCalls> {
  const { webApp, worker, browser, writeKeys, authority } = scenario;
  const files = FILES.map((name) => writeKeys(name, text("first")));
  const settings = (index: number) => ({ keysFile: files[index]!, coherenceBoundMs: 50 });
  const apps = [await webApp(settings(0)), await webApp(settings(1))];
  const background = await worker(settings(2));
  const processes: readonly ChildHandle[] = [...apps, background];
  const origins = apps.map(({ origin }) => origin);
  const people = [browser(), browser(), browser()];
  for (const [index, user] of [ADA, BEN, CLEO].entries())
    await people[index]!.signIn(origins[index % 2]!, user);
  expect(await keyIdsIn(place)).toEqual(new Set(["first"]));

  const traffic = startTraffic(origins, people);
  let renewals = 0;
  /** Somebody's tokens are renewed, here and there: their records go over to what seals in that process. */
  async function renew(): Promise<void> {
    for (const [index, person] of people.entries()) {
      const page = await person.get(`${origins[(index + renewals) % 2]!}/me?force=yes`);
      expect(page).toMatchObject({ status: 200, body: { source: "identity-provider", saved: true } });
      renewals += 1;
    }
    await traffic.pass(10);
    expect((await background.run()).map(({ outcome }) => outcome)).toEqual(["ok", "ok", "ok"]);
  }
  /** One process after the other gets these keys, with traffic all the while. */
  async function deploy(...ids: (keyof typeof KEYS)[]): Promise<void> {
    for (const [index, child] of processes.entries()) {
      writeKeys(FILES[index]!, text(...ids));
      await child.ask("reload-keys");
      await renew();
    }
  }

  await deploy("first", "second");
  await deploy("second", "first");
  expect(await keyIdsIn(place)).toContain("second");
  // This time nobody is told that the keys can be read: the files are there, and a record makes a process look.
  for (const name of FILES) writeKeys(name, text("second", "first", "third"));
  expect(await apps[0]!.ask("reload-keys")).toBe(true);
  writeKeys(FILES[0], text("third", "second", "first"));
  expect(await apps[0]!.ask("reload-keys")).toBe(true);
  for (let round = 0; round < 2; round += 1) await renew();
  expect(apps[1]!.output()).toMatch(/keyIds: \[\s*'second',\s*'first',\s*'third'/);
  await deploy("third", "second", "first");

  const rekeyed = await background.ask<RekeyResult>("rekey", { perSecond: 1_000 });
  expect(rekeyed).toMatchObject({ unreadable: 0, conflicts: 0, done: true });
  expect(await keyIdsIn(place)).toEqual(new Set(["third"]));
  await deploy("third");

  const pages = await traffic.stop();
  expect(pages.length).toBeGreaterThan(100);
  expect(pages.filter(({ status }) => status !== 200)).toEqual([]);
  // A miss would have asked the identity provider.
  expect(pages.filter(({ body }) => (body as { source: string }).source !== "cache")).toEqual([]);
  expect(authority.count({ grant: "authorization_code" })).toBe(3);
  const printed = processes.map((child) => child.output()).join("\n");
  for (const unwanted of ["record-unreadable", "keys-not-reloaded", "ERR_KEY_UNKNOWN", "needs-interaction"]) {
    expect(printed).not.toContain(unwanted);
  }
  expect(await keyIdsIn(place)).toEqual(new Set(["third"]));
  return { authorize: 3, authorization_code: 3, refresh_token: renewals };
}
