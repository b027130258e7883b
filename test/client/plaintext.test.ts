/** From `keys: "unsealed"` to keys, without a re-login and for a limited time. */
import { describe, expect, test } from "vitest";
import { memoryStore } from "../../src/adapters/memory.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { collect } from "../support/collect.ts";
import {
  ADA,
  READ,
  REDIRECT_URI,
  createWorld,
  steeredRuntime,
  testKeys,
  type Node,
  type World,
} from "../support/world.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

async function unsealedWorld() {
  const world = createWorld();
  const runtime = steeredRuntime();
  const hook = { activity: { onBeforeWrite: () => ({ plan: "gold" }) as never } };
  const account = (await world.node({ keys: "unsealed", ...hook }).signIn(ADA)).account!;
  const node = (more = {}): Node =>
    world.node({ runtime, acceptPlaintextUntil: runtime.now() + HOUR_MS, ...more });
  return { world, runtime, account, node };
}

/** How the only record in the store begins. */
async function magicIn({ store }: World): Promise<string> {
  const { keys } = await store.admin.keys({ prefix: "", limit: 10 });
  const stored = (await store.get(keys[0]!)) as { bytes: Uint8Array };
  expect(keys).toHaveLength(1);
  return Buffer.from(stored.bytes.subarray(0, 3)).toString();
}

const silent = ({ client }: Node, account: never, more = {}) =>
  client.acquireTokenSilent({ account, scopes: READ, ...more });

describe("records that an unsealed cache has written", () => {
  test("are refused, unless asked for", async () => {
    const { world, account } = await unsealedWorld();
    const node = world.node();
    await expect(silent(node, account as never)).rejects.toThrow();
    expect(node.events).toContainEqual(
      expect.objectContaining({ type: "record-unreadable", reason: "refused" }),
    );
  });

  test("are read until the time that was named, and sealed when they are written", async () => {
    const { world, account, node } = await unsealedWorld();
    const own = node();
    expect((await silent(own, account as never)).metadata.tokenSource).toBe("cache");
    expect(await magicIn(world)).toBe("TKP");
    await silent(own, account as never, { forceRefresh: true });
    expect(await magicIn(world)).toBe("TKE");
    expect((await silent(world.node(), account as never)).metadata.tokenSource).toBe("cache");
  });

  test("are all sealed by rekey, and so are the properties of their rows", async () => {
    const { world, node } = await unsealedWorld();
    expect(await node().cache.rekey()).toMatchObject({ done: true, resealed: 2, unreadable: 0 });
    expect(await magicIn(world)).toBe("TKE");
    const [row] = await collect(world.node().cache.accounts());
    expect(row?.properties).toEqual({ plan: "gold" });
  });

  test("are refused afterwards, with the event, also by a process that accepted them before", async () => {
    const { account, node, runtime } = await unsealedWorld();
    const own = node({ l1: false });
    await silent(own, account as never);
    runtime.advance(HOUR_MS);
    await expect(silent(own, account as never)).rejects.toThrow();
    const refused = own.events.filter((event) => event.type === "record-unreadable");
    expect(new Set(refused.map(({ reason }) => reason))).toEqual(new Set(["refused"]));
    expect(own.events.filter(({ type }) => type === "plaintext-accepted")).toHaveLength(1);
  });

  test("move to hidden names at the same time", async () => {
    const { world, account, node } = await unsealedWorld();
    const names = { key: new Uint8Array(32).fill(8), previous: "clear" };
    const own = node({ names });
    expect((await silent(own, account as never)).metadata.tokenSource).toBe("cache");
    await own.cache.rekey();
    const last = world.node({ names: { key: names.key } });
    expect((await silent(last, account as never)).metadata.tokenSource).toBe("cache");
  });
});

const FORGED = {
  id: "an-id-of-a-flow-0123456",
  state: "a-state-of-the-attacker",
  nonce: "a-nonce-of-the-attacker",
  verifier: "v".repeat(43),
  redirectUri: REDIRECT_URI,
  scopes: READ,
  returnTo: "/",
};

test("what a browser carries is never taken in clear", async () => {
  const { node } = await unsealedWorld();
  const own = node();
  const signIn = createSignIn({ client: own.client, redirectUri: REDIRECT_URI, scopes: READ });
  const text = JSON.stringify({ ...FORGED, startedAtMs: Date.now() });
  // As an unsealed cache would write it, and right in all else.
  const flow = Buffer.from(`TKP\x01${text}`).toString("base64url");
  const url = `${REDIRECT_URI}?code=c&state=${FORGED.state}`;
  await expect(signIn.completeSignIn({ flow, url })).rejects.toMatchObject({ code: "ERR_FLOW_INVALID" });
});

describe("acceptPlaintextUntil", () => {
  const made = (acceptPlaintextUntil: unknown, keys: unknown = testKeys()) =>
    createTokenCache({
      store: memoryStore(),
      keys: keys as never,
      acceptPlaintextUntil: acceptPlaintextUntil as never,
    });

  test.each<[string, unknown, unknown?]>([
    ["more than 90 days ahead", Date.now() + 91 * DAY_MS],
    ["seconds in place of a Date, far ahead", new Date(Date.now() + 400 * DAY_MS)],
    ["no time", "tomorrow"],
    ["no valid time", new Date("never")],
    ["without keys", Date.now() + DAY_MS, "unsealed"],
  ])("is refused: %s", (_what, until, keys) => {
    expect(() => made(until, keys)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION_INVALID", option: "acceptPlaintextUntil" }),
    );
  });

  test("may lie in the past: a setting that has been forgotten does no harm", async () => {
    const { account, node } = await unsealedWorld();
    const own = node({ acceptPlaintextUntil: new Date(0) });
    await expect(silent(own, account as never)).rejects.toThrow();
    expect(own.events.map(({ type }) => type)).not.toContain("plaintext-accepted");
  });
});

describe("a cache to which nobody listens", () => {
  async function warningsOf(options: object): Promise<string[]> {
    const warnings: string[] = [];
    const hear = (warning: Error & { code?: string }): void => {
      if (warning.code === "TOKENKEEP_PLAINTEXT") warnings.push(warning.message);
    };
    process.on("warning", hear);
    await createTokenCache({ store: memoryStore(), keys: testKeys(), ...options }).close();
    // Node tells of a warning on its next tick.
    await new Promise(setImmediate);
    process.off("warning", hear);
    return warnings;
  }

  test("warns once that tokens lie in clear, and that clear text is accepted", async () => {
    expect(await warningsOf({ keys: "unsealed" })).toEqual([expect.stringContaining("stored in clear")]);
    expect(await warningsOf({ acceptPlaintextUntil: Date.now() + DAY_MS })).toEqual([
      expect.stringContaining("accepted until"),
    ]);
    expect(await warningsOf({})).toEqual([]);
    expect(await warningsOf({ keys: "unsealed", onEvent: () => undefined })).toEqual([]);
  });
});
