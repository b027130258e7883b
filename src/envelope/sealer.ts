/** Sealing and opening, for callers that know nothing of keys and formats. */
import { OptionsError, TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import type { OpenFailureReason } from "../telemetry/events.ts";
import { canUnpack, pack, systemZstd, unpack, type Compression, type Zstd } from "./compression.ts";
import type { SealContext } from "./context.ts";
import { SALT_BYTES, parseHeader, parsePlain, writePlain } from "./format.ts";
import { checkRingKeys } from "./key-ring.ts";
import type { KeyRing } from "./key-ring.ts";
import type { LiveKeyRing } from "./live-ring.ts";
import { openSuiteOne, sealSuiteOne } from "./suite-one.ts";

export type { SealContext } from "./context.ts";

/**
 * What opening came to.
 *
 * - `unknown-key`: sealed under a key id that is not in the ring (or there is no ring). Retryable.
 * - `unsupported`: written by a newer release, or packed by a newer Node. Retryable after the upgrade.
 * - `refused`: everything else, and after the key has been found always this: not sealed, cut short,
 *   changed, sealed for another context, or under another key of the same id. Never says which.
 */
export type OpenResult =
  | {
      readonly ok: true;
      /** The caller's own copy. */
      readonly plaintext: Buffer;
      /** The key it was sealed under, which need not be the sealing key of today. Absent if unsealed. */
      readonly keyId: string | undefined;
    }
  | { readonly ok: false; readonly reason: OpenFailureReason };

/** Seals and opens bytes, bound to a context. Synchronous: tens of µs up to 100 KB, less than a hop to the thread pool costs. */
export interface Sealer {
  /** False only for `"unsealed"`. */
  readonly sealed: boolean;
  /** The id of the key that {@link Sealer.seal} uses now; `undefined` if unsealed. */
  readonly keyId: string | undefined;
  /**
   * Two calls never give the same bytes (unless unsealed). Adds 87 bytes and the length of the key id.
   * @throws retryable `ERR_KEYS_UNAVAILABLE` if whoever keeps the sealing key has taken it away
   */
  seal(plaintext: Uint8Array, context: SealContext): Uint8Array;
  /** Never throws because of what the bytes are. Never takes unsealed bytes for sealed ones. */
  open(bytes: Uint8Array, context: SealContext): OpenResult;
  /**
   * Like {@link Sealer.open}; but where the key id is unknown, and the keys can be loaded anew, it asks for them
   * first and answers later.
   */
  openOrAsk(bytes: Uint8Array, context: SealContext): OpenResult | Promise<OpenResult>;
}

/** How a sealer packs texts. */
export interface Packing {
  /** Default `"off"`. */
  readonly compression?: Compression;
  /** Default: that of this Node; `false`: there is none. */
  readonly zstd?: Zstd | false;
}

/**
 * A sealer with the keys of a ring. With `compression` (default `"off"`) it packs longer texts before it seals them,
 * which fits texts that nobody else can write into; what is packed every sealer opens.
 *
 * It has the keys of a ring, or with `"unsealed"` one that keeps everything in clear.
 *
 * Throws {@link OptionsError} where `keys` is neither: there is no default that would leave tokens in clear.
 */
export function createSealer(
  keys: KeyRing | LiveKeyRing | "unsealed",
  runtime: Runtime,
  { compression = "off", zstd = systemZstd }: Packing = {},
): Sealer {
  if (keys === "unsealed") return plainSealer;
  // Callers without types may hand over anything, above all nothing.
  const ring: Partial<KeyRing> | undefined = keys;
  if (typeof ring?.find !== "function" || typeof ring.sealingKeyId !== "string") {
    throw new OptionsError(
      "keys",
      'must be a key ring (createKeyRing, keysFromEnv, keysFromFile), or "unsealed" to keep tokens in clear',
    );
  }
  checkRingKeys(keys, "keys");
  return ringSealer(keys, runtime, { compression, zstd });
}

function ringSealer(
  keys: KeyRing | LiveKeyRing,
  runtime: Runtime,
  { compression, zstd }: Required<Packing>,
): Sealer {
  function open(bytes: Uint8Array, context: SealContext): OpenResult {
    const parsed = parseHeader(bytes);
    if (!parsed.ok) return parsed;
    const { header } = parsed;
    const key = keys.find(header.keyId);
    if (key === undefined) return unknownKey;
    if (!canUnpack(header.flags, zstd)) return unsupported;
    const text = openSuiteOne(key, header, bytes, context);
    const plaintext = text && unpack(header.flags, text, zstd);
    if (plaintext === undefined) return refused;
    return { ok: true, plaintext, keyId: header.keyId };
  }

  /** After the keys have been asked for: once, so that an id that nobody has ends in an answer. */
  async function openLater(ring: LiveKeyRing, bytes: Uint8Array, context: SealContext): Promise<OpenResult> {
    const keyId = keyIdOf(bytes);
    return keyId !== undefined && (await ring.learn(keyId)) ? open(bytes, context) : unknownKey;
  }

  return Object.freeze({
    sealed: true,
    get keyId() {
      return keys.sealingKeyId;
    },
    seal(plaintext: Uint8Array, context: SealContext) {
      const keyId = keys.sealingKeyId;
      const key = keys.find(keyId);
      if (key === undefined) throw sealingKeyGone();
      return sealSuiteOne(
        key,
        keyId,
        runtime.randomBytes(SALT_BYTES),
        pack(plaintext, compression, zstd),
        context,
      );
    },
    open,
    openOrAsk(bytes: Uint8Array, context: SealContext) {
      const opened = open(bytes, context);
      return opened === unknownKey && isLive(keys) ? openLater(keys, bytes, context) : opened;
    },
  });
}

/**
 * The same, sealed under today's sealing key; `undefined` if they are so already.
 * @returns a reason where they cannot be opened, and then they must stay as they are
 */
export async function reseal(
  sealer: Sealer,
  bytes: Uint8Array,
  context: SealContext,
): Promise<Uint8Array | OpenFailureReason | undefined> {
  if (sealer.sealed && keyIdOf(bytes) === sealer.keyId) return undefined;
  const opened = await sealer.openOrAsk(bytes, context);
  if (!opened.ok) return opened.reason;
  try {
    return sealer.seal(opened.plaintext, context);
  } finally {
    opened.plaintext.fill(0);
  }
}

/** The id of the key that bytes were sealed under; `undefined` if they are not sealed, or by a newer release. */
export function keyIdOf(bytes: Uint8Array): string | undefined {
  const parsed = parseHeader(bytes);
  return parsed.ok ? parsed.header.keyId : undefined;
}

function isLive(keys: KeyRing): keys is LiveKeyRing {
  return typeof (keys as Partial<LiveKeyRing>).learn === "function";
}

function sealingKeyGone(): TokenkeepError {
  return new TokenkeepError("ERR_KEYS_UNAVAILABLE", "the sealing key has been taken away by its provider", {
    retryable: true,
  });
}

const plainSealer: Sealer = Object.freeze({
  sealed: false,
  keyId: undefined,
  seal: (plaintext: Uint8Array) => writePlain(plaintext),
  open: openPlain,
  openOrAsk: openPlain,
});

function openPlain(bytes: Uint8Array): OpenResult {
  const header = parseHeader(bytes);
  if (header.ok) return unknownKey;
  if (header.reason === "unsupported") return header;
  const plain = parsePlain(bytes);
  return plain.ok ? { ok: true, plaintext: plain.plaintext, keyId: undefined } : plain;
}

const unsupported = Object.freeze({ ok: false, reason: "unsupported" } as const);
const unknownKey = Object.freeze({ ok: false, reason: "unknown-key" } as const);
const refused = Object.freeze({ ok: false, reason: "refused" } as const);
