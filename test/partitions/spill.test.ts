import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AccountInfo } from "@azure/msal-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountPartition, oboPartition } from "../../src/partitions/partition.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { createSpill } from "../../src/partitions/spill.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { chaosStore } from "../support/chaos.ts";
import { ADA, createWorld, READ, testKeys, type Node, type World } from "../support/world.ts";

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "tokenkeep-spill-")), "spill");
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true, force: true }));

/** As if the process that wrote them were gone: the files get the id of one that is. */
function abandon(): void {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  for (const name of readdirSync(folder).filter((own) => own.startsWith(`${process.pid}-`))) {
    renameSync(join(folder, name), join(folder, name.replace(/^\d+/, String(pid))));
  }
}

/** A node whose store has failed since before the user signed in. */
async function nodeWithoutStore(world: World): Promise<{ node: Node; link: ReturnType<typeof chaosStore> }> {
  const link = chaosStore(world.store);
  link.fail("put", { times: Infinity });
  const node = world.node({ store: link, spillFolder: folder });
  const { metadata } = await node.signIn(ADA);
  expect(metadata.saved).toBe(false);
  return { node, link };
}

test("what a process with the same pid has left is taken over, as in a container that restarts", async () => {
  const world = createWorld();
  await nodeWithoutStore(world);
  for (const name of readdirSync(folder)) {
    renameSync(join(folder, name), join(folder, name.replace(/^(\d+)-[0-9a-z]+/, "$1-earlier")));
  }
  expect(await world.node({ spillFolder: folder }).cache.parts.partitions.drain()).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
});

test.skipIf(process.platform === "win32")(
  "what finds no more room on the disk takes nothing away from what was there",
  () => {
    const child = join(import.meta.dirname, "children/little-room.ts");
    // As a disk that is full after a kilobyte: the first write takes what fits, and says so by a number only.
    const script = `trap '' XFSZ; ulimit -f 1; exec "$0" "$@"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", script, process.execPath, child, folder], {
      encoding: "utf8",
    });
    expect(stdout, stderr).toBe("spill write EFBIG\n");
    const adopted: object[] = [];
    const failures: string[] = [];
    createSpill({
      folder,
      sealer: createSealer(testKeys(), systemRuntime),
      namespace: "tokenkeep",
      onFailure: (operation) => void failures.push(operation),
    }).adopt({ has: () => false, adopt: (_key, entry) => void adopted.push(entry) });
    expect(failures).toEqual([]);
    expect(adopted).toMatchObject([{ kind: "stamp", signedOutAtMs: 1 }]);
    expect(readdirSync(folder).filter((name) => name.endsWith(".draft"))).toEqual([]);
  },
);

describe("a result that waits for the store", () => {
  test("survives the process in a sealed file of its owner's, and the next process stores it", async () => {
    const world = createWorld();
    await nodeWithoutStore(world);
    const [name = ""] = readdirSync(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const text = readFileSync(join(folder, name)).toString("latin1");
    for (const secret of world.authority.issued) expect(text).not.toContain(secret);
    expect(name).not.toContain("ada");
    abandon();

    const next = world.node({ spillFolder: folder });
    expect(await next.cache.parts.partitions.drain()).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    const homeAccountId = world.authority.homeAccountId(ADA);
    const account = { homeAccountId, environment: "", localAccountId: "", username: "" };
    const other = await world.node().client.acquireTokenSilent({
      account: { ...account, tenantId: homeAccountId.split(".")[1]! },
      scopes: READ,
    });
    expect(other.metadata.tokenSource).toBe("cache");
  });

  test("leaves no file once the store has it", async () => {
    const world = createWorld();
    const { node, link } = await nodeWithoutStore(world);
    expect(readdirSync(folder)).toHaveLength(1);
    link.heal();
    expect(await node.cache.parts.partitions.drain()).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("stays in its file when the cache is closed without having stored it", async () => {
    const { node } = await nodeWithoutStore(createWorld());
    expect(await node.cache.close()).toEqual({ lost: 1 });
    expect(readdirSync(folder)).toHaveLength(1);
  });

  test("of a process that lives is left to it", async () => {
    const world = createWorld();
    await nodeWithoutStore(world);
    expect(world.node({ spillFolder: folder }).cache.unsaved().entries).toBe(0);
  });

  test("sealed under other keys is kept, and reported", async () => {
    const world = createWorld();
    await nodeWithoutStore(world);
    abandon();
    const stranger = world.node({ spillFolder: folder, keys: testKeys("k2", 9) });
    expect(stranger.events).toMatchObject([{ type: "store-failed", operation: "spill adopt" }]);
    expect(readdirSync(folder)).toHaveLength(1);
  });
});

test("a sign-out that waits for the store is kept too, and one that does not leaves no file", async () => {
  const world = createWorld();
  const link = chaosStore(world.store);
  const node = world.node({ store: link, spillFolder: folder });
  const { account } = await node.signIn(ADA);
  link.fail("put", { times: Infinity });
  expect((await node.client.removeAccount(account!)).status).toBe("pending");
  expect(readdirSync(folder)).toHaveLength(1);
  abandon();
  const next = world.node({ spillFolder: folder });
  expect(await next.cache.parts.partitions.drain()).toBe(0);
  await expect(
    world.node().client.acquireTokenSilent({ account: account!, scopes: READ }),
  ).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  expect((await next.client.removeAccount(account!)).status).toBe("done");
  expect(readdirSync(folder)).toEqual([]);
});

describe("what several processes have left for one user", () => {
  const SCOPES = [["api://tasks/read"], ["api://tasks/write"], ["User.Read"]];

  /** Processes that cannot write, do one thing each, and are gone; they were all there before the first was gone. */
  async function leaveBehind(
    world: World,
    ...deeds: readonly ((node: Node) => Promise<void>)[]
  ): Promise<void> {
    const nodes = deeds.map(() => {
      const link = chaosStore(world.store);
      link.fail("put", { times: Infinity });
      return world.node({ store: link, spillFolder: folder });
    });
    for (const [at, deed] of deeds.entries()) {
      await deed(nodes[at]!);
      nodes[at]!.cache.parts.partitions.close();
      abandon();
    }
    expect(readdirSync(folder)).toHaveLength(deeds.length);
  }

  async function signedIn(world: World): Promise<AccountInfo> {
    const { account } = await world.node().signIn(ADA);
    return account!;
  }

  const renews =
    (account: AccountInfo, scopes: string[] | undefined) =>
    async ({ client }: Node): Promise<void> => {
      const { metadata } = await client.acquireTokenSilent({ account, scopes: scopes ?? [] });
      expect(metadata.saved).toBe(false);
    };

  async function expectStored(world: World, account: AccountInfo): Promise<void> {
    const { client } = world.node();
    for (const scopes of SCOPES) {
      const { metadata } = await client.acquireTokenSilent({ account, scopes });
      expect(metadata.tokenSource).toBe("cache");
    }
  }

  test("is all stored by the next, one after the other", async () => {
    const world = createWorld();
    const account = await signedIn(world);
    await leaveBehind(world, ...SCOPES.map((scopes) => renews(account, scopes)));
    const next = world.node({ spillFolder: folder });
    expect(await next.cache.parts.partitions.drain()).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    await expectStored(world, account);
  });

  test("is left in its file for as long as something else waits for that user, and stored after it", async () => {
    const world = createWorld();
    const account = await signedIn(world);
    await leaveBehind(world, renews(account, SCOPES[0]), renews(account, SCOPES[1]));
    const link = chaosStore(world.store);
    link.fail("put", { times: Infinity });
    const next = world.node({ store: link, spillFolder: folder });
    await renews(account, SCOPES[2])(next);
    expect(await next.cache.parts.partitions.drain()).toBe(1);
    expect(readdirSync(folder)).toHaveLength(2);
    link.heal();
    expect(await next.cache.parts.partitions.drain()).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    await expectStored(world, account);
  });

  test.each(["before", "after"])(
    "ends with a sign-out that one of them has left %s the others",
    async (when) => {
      const world = createWorld();
      const account = await signedIn(world);
      const signsOut = async ({ client }: Node): Promise<void> => {
        expect((await client.removeAccount(account)).status).toBe("pending");
      };
      const deeds = [signsOut, renews(account, SCOPES[0])];
      await leaveBehind(world, ...(when === "before" ? deeds : deeds.toReversed()));
      const next = world.node({ spillFolder: folder });
      expect(await next.cache.parts.partitions.drain()).toBe(0);
      expect(readdirSync(folder)).toEqual([]);
      await expect(world.node().client.acquireTokenSilent({ account, scopes: READ })).rejects.toMatchObject({
        errorCode: "no_tokens_found",
      });
    },
  );
});

test("a sign-out everywhere is kept until all that it ends has ended, or waits by itself", async () => {
  const world = createWorld();
  const scope = { clientId: "app", issuer: "issuer" };
  const account = accountPartition(scope, "ada");
  const assertion = oboPartition(scope, "an assertion");
  const link = chaosStore(world.store);
  const { partitions } = world.node({ store: link, spillFolder: folder }).cache.parts;
  const entry = { id: assertion.id, kind: "obo", expiresAtMs: Date.now() + 3_600_000 } as const;
  await world.node().cache.parts.partitions.list(account, entry);
  link.fail("all", { times: Infinity });
  expect((await partitions.signOutEverywhere(account, [])).status).toBe("pending");
  link.heal();
  // The stamp is in the store; then the process ends.
  const gate = link.holdBefore("put", { key: assertion.id });
  void partitions.drain();
  await gate.arrived;
  abandon();
  const next = world.node({ spillFolder: folder }).cache.parts.partitions;
  expect(await next.drain()).toBe(0);
  expect(await next.read(assertion)).toMatchObject({ status: "removed" });
  gate.open();
});

test("a spill folder that others may enter is refused by name", async () => {
  const world = createWorld();
  chmodSync(join(folder, ".."), 0o755);
  expect(() => world.node({ spillFolder: join(folder, "..") })).toThrow(/spillFolder.*chmod 700/);
});
