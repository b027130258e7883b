import { describe, expect, test, vi } from "vitest";

import { createKeyRing, type KeyRing } from "../../src/envelope/key-ring.ts";
import { createLiveRing, type LiveKeyRing } from "../../src/envelope/live-ring.ts";
import { reloadingKeys } from "../../src/envelope/reloading-keys.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { OptionsError, type TokenkeepError } from "../../src/errors.ts";
import type { TokenkeepEvent } from "../../src/telemetry/events.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";
import { errorOf } from "../support/error-of.ts";
import { settle } from "../support/settle.ts";
import { CONTEXT, KEY_ONE, KEY_TWO } from "./support.ts";

const TEXT = Buffer.from("a refresh token");
const UNKNOWN = { ok: false, reason: "unknown-key" };
const EVERY_MS = 60_000;

function ring(...ids: string[]): KeyRing {
  const [sealing, ...opening] = ids.map((id) => ({ id, key: Buffer.alloc(32, id.charCodeAt(0)) }));
  return createKeyRing({ sealing: sealing!, opening });
}

interface Keeper {
  readonly runtime: FakeRuntime;
  readonly live: LiveKeyRing;
  readonly events: TokenkeepEvent[];
  /** What the next loads bring. */
  brings: () => KeyRing | Promise<KeyRing>;
  loads: number;
  types(): string[];
}

async function keeper(...ids: string[]): Promise<Keeper> {
  const runtime = fakeRuntime();
  const events: TokenkeepEvent[] = [];
  const source = { brings: (): KeyRing | Promise<KeyRing> => ring(...ids), loads: 0 };
  const load = (): KeyRing | Promise<KeyRing> => {
    source.loads += 1;
    return source.brings();
  };
  const keys = await reloadingKeys({ everyMs: EVERY_MS, load });
  source.loads = 0;
  const live = createLiveRing(keys, { runtime, emit: (event) => void events.push(event) });
  live.start();
  return Object.assign(source, { runtime, live, events, types: () => events.map(({ type }) => type) });
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

describe("keys that are loaded anew", () => {
  test("are loaded once a period, also after a period in which that failed", async () => {
    const kept = await keeper("a");
    kept.brings = () => Promise.reject(new Error("no disk"));
    await kept.runtime.advance(EVERY_MS);
    expect(kept.loads).toBe(1);
    expect(kept.types()).toEqual(["keys-not-reloaded"]);
    expect(kept.live.sealingKeyId).toBe("a");
    kept.brings = () => ring("b", "a");
    await kept.runtime.advance(EVERY_MS);
    expect(kept.live.sealingKeyId).toBe("b");
    expect(kept.events.at(-1)).toEqual({ type: "keys-reloaded", sealingKeyId: "b", keyIds: ["b", "a"] });
    await kept.runtime.advance(EVERY_MS);
    expect(kept.types()).toEqual(["keys-not-reloaded", "keys-reloaded"]);
  });

  test("leave no timer behind once they are closed", async () => {
    const kept = await keeper("a");
    kept.live.close();
    expect(kept.runtime.pendingTimers()).toBe(0);
    await kept.runtime.advance(10 * EVERY_MS);
    expect(await kept.live.learn("b")).toBe(false);
    expect(kept.loads).toBe(0);
  });

  test("leave no timer behind either once they are closed during a load that hangs", async () => {
    const kept = await keeper("a");
    kept.brings = () => new Promise(() => undefined);
    await kept.runtime.advance(EVERY_MS);
    const learning = kept.live.learn("b");
    expect(kept.runtime.pendingTimers()).toBeGreaterThan(0);
    kept.live.close();
    await settle();
    expect(kept.runtime.pendingTimers()).toBe(0);
    expect(await learning).toBe(false);
    expect([kept.loads, kept.events]).toEqual([1, []]);
  });

  test("asked for by hand are not loaded once they are closed, whether before or during the asking", async () => {
    const kept = await keeper("a");
    kept.brings = () => new Promise(() => undefined);
    await kept.runtime.advance(EVERY_MS);
    const during = errorOf(kept.live.reload());
    kept.live.close();
    for (const asking of [during, errorOf(kept.live.reload())]) {
      await settle();
      expect(kept.runtime.pendingTimers()).toBe(0);
      expect(await asking).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
    }
    expect([kept.loads, kept.events]).toEqual([1, []]);
  });

  test("seal under the key that is first by then, and open what was sealed before", async () => {
    const kept = await keeper("a");
    const sealer = createSealer(kept.live, kept.runtime);
    const before = sealer.seal(TEXT, CONTEXT);
    kept.brings = () => ring("b", "a");
    expect(await kept.live.reload()).toBe(true);
    expect(sealer.keyId).toBe("b");
    expect(sealer.open(sealer.seal(TEXT, CONTEXT), CONTEXT)).toMatchObject({ ok: true, keyId: "b" });
    expect(sealer.open(before, CONTEXT)).toMatchObject({ ok: true, keyId: "a" });
    expect(await kept.live.reload()).toBe(false);
  });

  test("that are taken away no longer open", async () => {
    const kept = await keeper("a", "b");
    const before = createSealer(ring("b"), kept.runtime).seal(TEXT, CONTEXT);
    const sealer = createSealer(kept.live, kept.runtime);
    expect(sealer.open(before, CONTEXT)).toMatchObject({ ok: true });
    kept.brings = () => ring("a");
    await kept.live.reload();
    expect(sealer.open(before, CONTEXT)).toEqual(UNKNOWN);
  });

  test("asked for by hand come from a load that began after the asking", async () => {
    const kept = await keeper("a");
    const { opened, open } = gate();
    kept.brings = () => opened.then(() => ring("a"));
    const periodic = kept.runtime.advance(EVERY_MS);
    await periodic;
    const reload = kept.live.reload();
    kept.brings = () => ring("b", "a");
    open();
    expect(await reload).toBe(true);
    expect(kept.loads).toBe(2);
  });
});

describe("a load that is no good", () => {
  test.each<[string, () => unknown]>([
    ["nothing", () => undefined],
    ["a text", () => "a:b"],
    ["a ring without its own sealing key", () => ({ ...ring("b"), find: () => undefined })],
    [
      "another key under an id that is known",
      () => createKeyRing({ sealing: { id: "b", key: KEY_ONE }, opening: [{ id: "a", key: KEY_TWO }] }),
    ],
  ])("%s: changes nothing, and says so", async (_name, brings) => {
    const kept = await keeper("a");
    kept.brings = brings as () => KeyRing;
    await expect(kept.live.reload()).rejects.toThrow(OptionsError);
    expect([kept.live.sealingKeyId, kept.live.keyIds]).toEqual(["a", ["a"]]);
    expect(kept.types()).toEqual(["keys-not-reloaded"]);
  });

  test("that throws, throws nothing that could hold a key", async () => {
    const kept = await keeper("a");
    const secret = KEY_ONE.toString("base64");
    kept.brings = () => {
      throw Object.assign(new Error(`cannot read a:${secret}`), { code: "EACCES", keys: secret });
    };
    const error = await kept.live.reload().catch((reason: unknown) => reason as TokenkeepError);
    expect(error).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
    expect(String((error as Error).message)).toContain("EACCES");
    expect(JSON.stringify([error, (error as Error).message, kept.events])).not.toContain(secret);
    expect((error as Error).cause).toBeUndefined();
  });

  test("that never ends is waited for 30 seconds, and keeps nobody from the next one", async () => {
    const kept = await keeper("a");
    kept.brings = () => new Promise(() => undefined);
    const first = kept.live.reload().catch((error: unknown) => (error as TokenkeepError).code);
    await kept.runtime.advance(30_000);
    expect(await first).toBe("ERR_KEYS_UNAVAILABLE");
    kept.brings = () => ring("b", "a");
    expect(await kept.live.reload()).toBe(true);
  });

  test("that never ends is waited for no longer at the start", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const starting = errorOf(reloadingKeys({ load: () => new Promise<KeyRing>(() => undefined) }));
      await vi.advanceTimersByTimeAsync(30_000);
      expect(await starting).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test("at the start is an error of the start", async () => {
    await expect(reloadingKeys({ load: () => Promise.reject(new Error("down")) })).rejects.toThrow("down");
    await expect(reloadingKeys({ load: () => undefined as unknown as KeyRing })).rejects.toThrow(
      OptionsError,
    );
    await expect(reloadingKeys({ load: () => ring("a"), everyMs: 0 })).rejects.toThrow(/everyMs/);
    await expect(reloadingKeys({} as never)).rejects.toThrow(/load/);
  });
});

describe("a key id that is not there", () => {
  const sealedUnder = (id: string): Uint8Array => createSealer(ring(id), fakeRuntime()).seal(TEXT, CONTEXT);

  test("is asked for, and then the bytes open", async () => {
    const kept = await keeper("a");
    kept.brings = () => ring("a", "b");
    const sealer = createSealer(kept.live, kept.runtime);
    expect(await sealer.openOrAsk(sealedUnder("b"), CONTEXT)).toMatchObject({ ok: true, plaintext: TEXT });
    // Now that it is there nobody is asked, and nothing has to be awaited.
    expect(sealer.openOrAsk(sealedUnder("b"), CONTEXT)).toMatchObject({ ok: true });
    expect(kept.loads).toBe(1);
  });

  test("stays unknown where nobody has it", async () => {
    const kept = await keeper("a");
    const sealer = createSealer(kept.live, kept.runtime);
    expect(await sealer.openOrAsk(sealedUnder("z"), CONTEXT)).toEqual(UNKNOWN);
  });

  test("is asked for by nobody where the keys are fixed, or the bytes are no good anyhow", async () => {
    const kept = await keeper("a");
    const fixed = createSealer(ring("a"), kept.runtime);
    expect(fixed.openOrAsk(sealedUnder("b"), CONTEXT)).toEqual(UNKNOWN);
    const sealer = createSealer(kept.live, kept.runtime);
    const forged = Buffer.from(sealedUnder("a"));
    forged[forged.length - 1]! ^= 1;
    expect(sealer.openOrAsk(forged, CONTEXT)).toEqual({ ok: false, reason: "refused" });
    expect(sealer.openOrAsk(Buffer.from("TKE\u0002"), CONTEXT)).toMatchObject({ reason: "unsupported" });
    expect(kept.loads).toBe(0);
  });

  test("costs one load for all who ask at once, whatever they ask for, and one for those who came late", async () => {
    const kept = await keeper("a");
    const { opened, open } = gate();
    kept.brings = () => opened.then(() => ring("a", "b"));
    const asking = Array.from({ length: 500 }, (_, index) => kept.live.learn(index % 2 ? "b" : `x${index}`));
    await kept.runtime.advance(0);
    expect(kept.loads).toBe(1);
    open();
    const found = await Promise.all(asking);
    expect(found.filter(Boolean)).toHaveLength(250);
    // The load may have begun before those ids were there: one more is made for all of them.
    expect(kept.loads).toBe(2);
  });

  test("that somebody made up cannot flood the provider, however many different ones", async () => {
    const kept = await keeper("a");
    for (let index = 0; index < 1_000; index += 1) expect(await kept.live.learn(`x${index}`)).toBe(false);
    expect(kept.loads).toBe(4);
    await kept.runtime.advance(5_000);
    for (let index = 0; index < 100; index += 1) await kept.live.learn(`y${index}`);
    expect(kept.loads).toBe(5);
  });

  test("costs as much, and no more, while the provider is down; the reader is told not now", async () => {
    const kept = await keeper("a");
    kept.brings = () => Promise.reject(new Error("down"));
    const sealer = createSealer(kept.live, kept.runtime);
    for (let index = 0; index < 100; index += 1) {
      expect(await sealer.openOrAsk(sealedUnder("b"), CONTEXT)).toEqual(UNKNOWN);
    }
    expect(kept.loads).toBe(4);
    kept.brings = () => ring("a", "b");
    await kept.runtime.advance(5_000);
    expect(await sealer.openOrAsk(sealedUnder("b"), CONTEXT)).toMatchObject({ ok: true });
  });
});

test("a sealing key that its provider takes away is a retryable error, and nothing is sealed", () => {
  const kept = ring("a");
  let isThere = true;
  const sealer = createSealer(
    { ...kept, find: (id) => (isThere ? kept.find(id) : undefined) },
    fakeRuntime(),
  );
  isThere = false;
  expect(() => sealer.seal(TEXT, CONTEXT)).toThrow(
    expect.objectContaining({ code: "ERR_KEYS_UNAVAILABLE", retryable: true }),
  );
});
