import { expect, test } from "vitest";
import { parseKeys } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { generateKey, systemRuntime } from "../../src/index.ts";
import { keyIdsIn, keyOfUser, readBytes, writeBytes } from "./lying.ts";
import { ADA, BEN, CLEO, playScenario } from "./scenario.ts";

const SEES_ALL = { coherenceBoundMs: 1 };
const NEW_KEY = generateKey(systemRuntime, "new");

test("R22: while old and new key rings run side by side, a worker with the old one gets retryable errors, benches nobody, tidies nothing; and nobody has to sign in", () =>
  playScenario(async ({ keys: oldKey, webApp, worker, browser, storePath, authority }) => {
    const place = { storePath };
    const oldApp = await webApp(SEES_ALL);
    const oldWorker = await worker(SEES_ALL);
    const newApp = await webApp(SEES_ALL, `${NEW_KEY}\n${oldKey}`);
    const [ada, ben, cleo] = [browser(), browser(), browser()];
    await ada.signIn(oldApp.origin, ADA);
    await ben.signIn(oldApp.origin, BEN);

    // The new ones read what the old ones wrote.
    for (const [who, user] of [
      [ada, ADA],
      [ben, BEN],
    ] as const) {
      expect(await who.get(`${newApp.origin}/me`)).toMatchObject({
        status: 200,
        body: { tokenUser: user, source: "cache" },
      });
    }
    // Ada's goes over to the new key, and Cleo's begins under it.
    expect(await ada.get(`${newApp.origin}/me?force=yes`)).toMatchObject({ body: { saved: true } });
    await cleo.signIn(newApp.origin, CLEO);
    const before = await readBytes(place);

    for (const who of [ada, cleo]) {
      for (const path of ["/me", "/me?force=yes", "/me?scopes=api://tasks/read"]) {
        expect(await who.get(`${oldApp.origin}${path}`)).toMatchObject({
          status: 503,
          body: { code: "ERR_KEY_UNKNOWN" },
        });
      }
    }
    const runs = new Map((await oldWorker.run()).map((run) => [run.user, run]));
    expect(runs.get(BEN)).toMatchObject({ outcome: "ok" });
    for (const user of [ADA, CLEO]) {
      expect(runs.get(user)).toMatchObject({ outcome: "failed", code: "ERR_KEY_UNKNOWN" });
    }
    const accounts = await oldWorker.accounts();
    expect(accounts.map(({ username }) => username).toSorted()).toEqual([ADA, BEN, CLEO]);
    expect(accounts.map(({ status, failure }) => [status, failure])).toEqual(
      accounts.map(() => ["ok", undefined]),
    );
    expect(await oldWorker.ask("purge")).toEqual({ records: 0, accounts: 0 });
    expect(await readBytes(place)).toEqual(before);
    expect(await keyIdsIn(place)).toEqual(new Set(["new", parseKeys(oldKey).sealingKeyId]));

    // The deploy goes on: the last old ones end, and new ones take their place.
    for (const old of [oldApp, oldWorker]) expect(await old.stop()).toMatchObject({ code: 0 });
    const second = await webApp(SEES_ALL, `${NEW_KEY}\n${oldKey}`);
    const newWorker = await worker(SEES_ALL, `${NEW_KEY}\n${oldKey}`);
    for (const [who, user] of [
      [ada, ADA],
      [ben, BEN],
      [cleo, CLEO],
    ] as const) {
      expect(await who.get(`${second.origin}/me`)).toMatchObject({
        status: 200,
        body: { tokenUser: user, source: "cache" },
      });
    }
    expect((await newWorker.run()).map(({ outcome }) => outcome)).toEqual(["ok", "ok", "ok"]);
    expect(authority.count({ grant: "refresh_token" })).toBe(1);
    return { authorize: 3, authorization_code: 3, refresh_token: 1 };
  }));

test.each<[string, (bytes: Buffer, key: string, keys: string) => Buffer]>([
  ["of a newer envelope", (bytes) => Buffer.concat([Buffer.from("TKE\u0002"), bytes.subarray(4)])],
  ["of a newer suite", (bytes) => Buffer.concat([bytes.subarray(0, 4), Buffer.of(7), bytes.subarray(5)])],
  [
    "with flags of a newer release",
    (bytes) => Buffer.concat([bytes.subarray(0, 5), Buffer.of(0x80), bytes.subarray(6)]),
  ],
  [
    "of a newer layout in an envelope of today's",
    (_bytes, key, keys) =>
      Buffer.from(
        createSealer(parseKeys(keys), systemRuntime).seal(Buffer.from('{"f":2,"t":"tokens"}'), {
          namespace: "tokenkeep",
          key,
          kind: "user",
        }),
      ),
  ],
])(
  "R22: a record %s is refused as not now by older processes, and not destroyed, whatever they try",
  (_name, newer) =>
    playScenario(async ({ keys, webApp, worker, browser, storePath, authority }) => {
      const place = { storePath };
      const app = await webApp(SEES_ALL);
      const [ada, ben] = [browser(), browser()];
      await ada.signIn(app.origin, ADA);
      await ben.signIn(app.origin, BEN);
      const records = await readBytes(place);
      const key = keyOfUser(records.keys(), authority.homeAccountId(ADA));
      const written = newer(records.get(key)!.bytes, key, keys);
      await writeBytes(place, key, written);

      const unsupported = { status: 503, body: { code: "ERR_RECORD_UNSUPPORTED" } };
      for (const path of ["/me", "/me?force=yes"]) {
        expect(await ada.get(`${app.origin}${path}`)).toMatchObject(unsupported);
      }
      const background = await worker(SEES_ALL);
      const runs = new Map((await background.run()).map((run) => [run.user, run]));
      expect(runs.get(ADA)).toMatchObject({ outcome: "failed", code: "ERR_RECORD_UNSUPPORTED" });
      expect(runs.get(BEN)).toMatchObject({ outcome: "ok" });
      expect((await background.accounts()).map(({ status }) => status)).toEqual(["ok", "ok"]);
      expect(await background.ask("purge")).toEqual({ records: 0, accounts: 0 });
      // A rekey must not read the insides of what it seals anew, nor touch what it cannot open.
      expect(await background.ask("rekey", {})).toMatchObject({ resealed: 0, done: true });
      expect((await readBytes(place)).get(key)!.bytes).toEqual(written);
      expect(await ben.get(`${app.origin}/me`)).toMatchObject({ status: 200 });

      // Whoever knows the newer form would read it. Here the older one comes back, as after a step back.
      await writeBytes(place, key, records.get(key)!.bytes);
      expect(await ada.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { tokenUser: ADA } });
      return { authorize: 2, authorization_code: 2 };
    }),
);
