import { describe, expect, test } from "vitest";
import { generateKey, systemRuntime } from "../../src/index.ts";
import { keyOfUser, readBytes, writeBytes } from "./lying.ts";
import { ADA, BEN, playScenario, type Scenario } from "./scenario.ts";

/** Shorter than a round trip: what lies in the store is what a request sees. */
const SEES_ALL = { coherenceBoundMs: 1 };

/** Ada and Ben are signed in, each in a browser of their own. */
async function twoUsers(scenario: Scenario) {
  const { authority, webApp, browser, storePath } = scenario;
  const app = await webApp(SEES_ALL);
  const [ada, ben] = [browser(), browser()];
  await ada.signIn(app.origin, ADA);
  await ben.signIn(app.origin, BEN);
  const place = { storePath };
  const records = await readBytes(place);
  const keyOf = (user: string): string => keyOfUser(records.keys(), authority.homeAccountId(user));
  return { app, ada, ben, place, records, keys: { ada: keyOf(ADA), ben: keyOf(BEN) } };
}

const unreadable = (output: string): string[] =>
  [...output.matchAll(/type: 'record-unreadable',[^}]*reason: '([\w-]+)'/g)].map(([, reason = ""]) => reason);

describe("R28: a record that somebody without the key has changed", () => {
  test("R28: by one bit needs a sign-in, with an event; nobody crashes, nobody touches it, and the sign-in mends it", () =>
    playScenario(async (scenario) => {
      const { app, ada, ben, place, records, keys } = await twoUsers(scenario);
      const changed = Buffer.from(records.get(keys.ada)!.bytes);
      changed[changed.length >> 1]! ^= 1;
      await writeBytes(place, keys.ada, changed);

      expect(await ada.get(`${app.origin}/me`)).toMatchObject({ status: 401 });
      expect(await ada.get(`${app.origin}/me?force=yes`)).toMatchObject({ status: 401 });
      expect(unreadable(app.output())).toContain("refused");
      expect((await readBytes(place)).get(keys.ada)!.bytes).toEqual(changed);
      expect(await ben.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { tokenUser: BEN } });

      // A worker cannot act for her; for the others it does.
      const worker = await scenario.worker(SEES_ALL);
      const runs = new Map((await worker.run()).map((run) => [run.user, run.outcome]));
      expect(runs.get(BEN)).toBe("ok");
      expect(runs.get(ADA)).toBe("needs-interaction");
      expect((await readBytes(place)).get(keys.ada)!.bytes).toEqual(changed);

      expect(await ada.signIn(app.origin, ADA)).toMatchObject({ status: 200, body: { tokenUser: ADA } });
      expect(await ada.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { source: "cache" } });
      return { authorize: 3, authorization_code: 3 };
    }));

  test("R28: by exchanging it with another user's gives nobody the other's tokens", () =>
    playScenario(async (scenario) => {
      const { app, ada, ben, place, records, keys } = await twoUsers(scenario);
      await writeBytes(place, keys.ada, records.get(keys.ben)!.bytes);
      await writeBytes(place, keys.ben, records.get(keys.ada)!.bytes);
      const fresh = await scenario.webApp(SEES_ALL);
      for (const { origin } of [app, fresh]) {
        for (const who of [ada, ben]) expect(await who.get(`${origin}/me`)).toMatchObject({ status: 401 });
      }
      expect(unreadable(fresh.output())).toEqual(["refused", "refused"]);
      const there = await readBytes(place);
      expect(there.get(keys.ada)!.bytes).toEqual(records.get(keys.ben)!.bytes);
      expect(there.get(keys.ben)!.bytes).toEqual(records.get(keys.ada)!.bytes);
      for (const [who, user] of [
        [ada, ADA],
        [ben, BEN],
      ] as const) {
        expect(await who.signIn(fresh.origin, user)).toMatchObject({
          status: 200,
          body: { tokenUser: user },
        });
        expect(await who.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { tokenUser: user } });
      }
      return { authorize: 4, authorization_code: 4 };
    }));

  test("R28: by putting it back where it was before harms nobody: it is the user's own, and opens", () =>
    playScenario(async (scenario) => {
      const { app, ada, place, records, keys } = await twoUsers(scenario);
      expect(await ada.get(`${app.origin}/me?force=yes`)).toMatchObject({ body: { saved: true } });
      await writeBytes(place, keys.ada, records.get(keys.ada)!.bytes);
      expect(await ada.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { tokenUser: ADA } });
      expect(app.output()).toContain("store-rolled-back");
      return { authorize: 2, authorization_code: 2, refresh_token: 1 };
    }));
});

describe("R28: a process with the wrong key", () => {
  test("R28: under an id of its own says not now: nobody is challenged, and the store is untouched", () =>
    playScenario(async (scenario) => {
      const { ada, ben, place, records } = await twoUsers(scenario);
      const stranger = await scenario.webApp(SEES_ALL, generateKey(systemRuntime, "stranger"));
      for (const who of [ada, ben]) {
        for (const path of ["/me", "/me?force=yes"]) {
          expect(await who.get(`${stranger.origin}${path}`)).toMatchObject({
            status: 503,
            body: { code: "ERR_KEY_UNKNOWN" },
          });
        }
      }
      expect(new Set(unreadable(stranger.output()))).toEqual(new Set(["unknown-key"]));
      expect(await readBytes(place)).toEqual(records);
      return { authorize: 2, authorization_code: 2 };
    }));

  test("R28: under the right id takes the records for forged, asks for a sign-in, and leaves them alone", () =>
    playScenario(async (scenario) => {
      const { app, ada, place, records, keys } = await twoUsers(scenario);
      const [id] = scenario.keys.split(":");
      const confused = await scenario.webApp(SEES_ALL, generateKey(systemRuntime, id));
      expect(await ada.get(`${confused.origin}/me`)).toMatchObject({ status: 401 });
      expect(unreadable(confused.output())).toEqual(["refused"]);
      expect((await readBytes(place)).get(keys.ada)).toEqual(records.get(keys.ada));
      expect(await ada.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { source: "cache" } });
      return { authorize: 2, authorization_code: 2 };
    }));
});
