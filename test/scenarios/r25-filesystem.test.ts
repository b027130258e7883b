import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { filesystemStore } from "../../src/adapters/filesystem.ts";
import { exitOf, startFixture } from "../adapters/children.ts";
import { ADA, BEN, CLEO, EXPIRED, LASTING, playScenario, SIGN_IN_ONLY } from "./scenario.ts";

const ON_FILES = { store: "filesystem", refreshTokens: "one-time" } as const;

/** Everything in the store's folder, with its mode. */
function modesIn(folder: string): string[] {
  return ["", ...readdirSync(folder, { recursive: true }).map(String)].map((name) => {
    const stats = statSync(join(folder, name));
    return `${stats.isDirectory() ? "folder" : "file"} ${(stats.mode & 0o777).toString(8)}`;
  });
}

test("R25: on files the web app and a worker share users as on any store; folders are 0700, files 0600, no name says whose they are, and a sign-out is one everywhere", () =>
  playScenario(async ({ authority, webApp, worker, browser, userRecords, storePath }) => {
    const app = await webApp();
    const [ada, ben] = [browser(), browser()];
    await ada.signIn(app.origin, ADA);
    authority.setLifetimes(EXPIRED);
    expect(await ben.signIn(app.origin, BEN, SIGN_IN_ONLY)).toMatchObject({ status: 404 });
    authority.setLifetimes(LASTING);

    const background = await worker();
    const served = new Map((await background.run()).map((line) => [line.user, line]));
    expect(served.get(ADA)).toMatchObject({ outcome: "ok", served: { source: "cache", level: "L2" } });
    expect(served.get(BEN)).toMatchObject({
      outcome: "ok",
      served: { source: "identity-provider", saved: true },
    });
    // Every refresh token is good for one use: the web app goes on with the one that the worker stored.
    expect(await ben.get(`${app.origin}/me?force=yes`)).toMatchObject({ body: { user: BEN, saved: true } });

    expect(new Set(modesIn(storePath))).toEqual(new Set(["folder 700", "file 600"]));
    const names = readdirSync(storePath, { recursive: true }).map(String);
    for (const user of [ADA, BEN]) {
      const homeAccountId = authority.homeAccountId(user);
      expect(names.filter((name) => name.includes(homeAccountId.slice(0, 8)))).toEqual([]);
    }
    expect(await userRecords()).toHaveLength(2);

    expect(await ada.post(`${app.origin}/sign-out`)).toMatchObject({
      body: { status: "done", durable: true },
    });
    expect(await background.run()).toMatchObject([{ user: BEN, outcome: "ok" }]);
    return { authorize: 2, authorization_code: 2, refresh_token: 2 };
  }, ON_FILES));

test("R25: while other processes write to the folder and are killed in the middle, every file stays whole and every user is served", () =>
  playScenario(
    async ({ authority, webApp, worker, browser, crash, storePath }) => {
      const app = await webApp();
      const users = [ADA, BEN, CLEO];
      const browsers = new Map(users.map((user) => [user, browser()]));
      for (const [user, device] of browsers) await device.signIn(app.origin, user);
      for (let round = 1; round <= 3; round += 1) {
        const writers = [1, 2].map(() => startFixture("files-increment.ts", [storePath, "100000"]));
        const exits = Promise.all(writers.map(exitOf));
        await Promise.all(
          writers.map((writer) => new Promise((heard) => writer.stdout?.once("data", heard))),
        );
        // A worker that renews for everybody is killed with them, wherever it is.
        const doomed = await worker();
        void doomed.run().catch(() => undefined);
        for (const writer of writers) writer.kill("SIGKILL");
        await crash(doomed);
        expect(await exits).toEqual(["SIGKILL", "SIGKILL"]);
        const store = filesystemStore({ folder: storePath, lockTimeoutMs: 0 });
        const { keys } = await store.admin.keys({ prefix: "", limit: 100 });
        for (const key of keys) expect(typeof (await store.get(key))).toBe("object");
        expect(keys).toContain("counter");
        const counter = await store.get("counter");
        if (typeof counter !== "object") throw new Error("unreachable");
        // Not a record of tokenkeep's: what looks into every record must not meet it.
        expect(await store.delete("counter", { ifVersion: counter.version })).toBe(true);
        await store.close();
        for (const [user, device] of browsers) {
          expect(await device.get(`${app.origin}/me`)).toMatchObject({ status: 200, body: { user } });
        }
      }
      expect((await (await worker()).run()).map(({ outcome }) => outcome)).toEqual(["ok", "ok", "ok"]);
      expect(authority.count({ grant: "refresh_token" })).toBe(0);
      return { authorize: 3, authorization_code: 3 };
    },
    { store: "filesystem" },
  ));

test("R25: a process that finds the folder open to others does not start and says what to do; one that finds a file so answers nobody wrongly, and mending it is enough", () =>
  playScenario(
    async ({ webApp, worker, browser, storePath }) => {
      const app = await webApp();
      const ada = browser();
      await ada.signIn(app.origin, ADA);
      chmodSync(storePath, 0o755);
      await expect(worker()).rejects.toThrow(/ERR_STORE_OPEN[^]*chmod 700/);
      chmodSync(storePath, 0o700);

      const again = await webApp();
      const records = join(storePath, "records");
      const files = readdirSync(records).map((name) => join(records, name));
      const contents = files.map((file) => readFileSync(file));
      for (const file of files) chmodSync(file, 0o644);
      // Not a challenge: the store failed, and nobody has signed the user out.
      expect(await ada.get(`${again.origin}/me`)).toMatchObject({
        status: 503,
        body: { code: "ERR_STORE_UNAVAILABLE" },
      });
      expect(files.map((file) => readFileSync(file))).toEqual(contents);
      for (const file of files) chmodSync(file, 0o600);
      expect(await ada.get(`${again.origin}/me`)).toMatchObject({ status: 200, body: { user: ADA } });
      return { authorize: 1, authorization_code: 1 };
    },
    { store: "filesystem" },
  ));
