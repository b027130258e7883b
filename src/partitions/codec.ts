import { canonicalizeBlob } from "../blob/environments.ts";
import { blobFromObject } from "../blob/entities.ts";
import { isJsonObject, type JsonObject } from "../blob/json.ts";
import { nowSeconds } from "../blob/lookup.ts";
import type { Provenance } from "../blob/provenance.ts";
import type { OpenResult, SealContext, Sealer } from "../envelope/sealer.ts";
import { TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import type { Codec } from "../tiers/tiers.ts";
import { reconcile } from "./reconcile.ts";
import type { PartitionKind } from "./partition.ts";
import type {
  AccountRecord,
  ListedPartition,
  PartitionRecord,
  RemovalMarker,
  TokenRecord,
} from "./record.ts";
import { defaultRetention, isRenewedByUse, ttlOf, type Retention } from "./retention.ts";

/** Version of the record's own layout, inside the envelope. A reader refuses what is newer, and keeps it. */
const RECORD_FORMAT = 1;

export interface CodecOptions {
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly runtime: Runtime;
  /** Default: {@link defaultRetention}. */
  readonly retention?: Retention;
  readonly emit: Emit;
}

/** Where a record's bytes may stand: its kind is the first part of the partition's id. */
export function recordContext(namespace: string, key: string): SealContext {
  return { namespace, key, kind: kindOf(namespace, key) };
}

function kindOf(namespace: string, key: string): string {
  return key.slice(namespace.length + 1).split(":", 1)[0] ?? "";
}

/** Records to sealed bytes and back; the store key binds the envelope to its place. */
export function createRecordCodec(options: CodecOptions): Codec<PartitionRecord> {
  const { sealer, namespace, runtime, retention = defaultRetention, emit } = options;

  const context = (key: string): SealContext => recordContext(namespace, key);

  function recordFrom(key: string, opened: OpenResult): PartitionRecord {
    if (!opened.ok) {
      emit({ type: "record-unreadable", partition: partitionLabel(key), reason: opened.reason });
      return unreadable(opened.reason);
    }
    const record = fromLayout(opened.plaintext.toString("utf8"));
    if (record === "newer") {
      emit({ type: "record-unreadable", partition: partitionLabel(key), reason: "unsupported" });
      return unreadable("unsupported");
    }
    if (record.type === "refused") {
      emit({ type: "record-unreadable", partition: partitionLabel(key), reason: "refused" });
    }
    if (record.type !== "tokens") return record;
    const blob = canonicalizeBlob(record.blob, nowSeconds(runtime.now()));
    return blob === record.blob ? record : { ...record, blob };
  }

  return {
    encode: (key, record) => sealer.seal(Buffer.from(JSON.stringify(toLayout(record))), context(key)),

    decode(key, bytes) {
      const opened = sealer.openOrAsk(bytes, context(key));
      return opened instanceof Promise
        ? opened.then((later) => recordFrom(key, later))
        : recordFrom(key, opened);
    },

    lifetime(key, record) {
      const kind = kindOf(namespace, key) as PartitionKind;
      return {
        ttlMs: ttlOf(kind, record, runtime.now(), retention),
        slides: isRenewedByUse(kind, record, retention),
      };
    },

    // The user may have signed in again, or what was damaged may have been put back.
    answers: ({ type }) => type !== "removed" && type !== "refused",

    reconcile(key, held, stored) {
      const known = reconcile(held, stored);
      if (known !== stored) emit({ type: "store-rolled-back", partition: partitionLabel(key) });
      return known;
    },
  };
}

/** Not now is an error, not authentic is a value: invariant 4 keeps the two apart. */
function unreadable(reason: "unsupported" | "unknown-key" | "refused"): PartitionRecord {
  if (reason === "refused") return { type: "refused" };
  throw reason === "unknown-key"
    ? new TokenkeepError("ERR_KEY_UNKNOWN", "a record is sealed under a key id that is not in the key ring", {
        retryable: true,
      })
    : new TokenkeepError("ERR_RECORD_UNSUPPORTED", "a record was written by a newer version of tokenkeep", {
        retryable: true,
      });
}

// --- layout ---

function toLayout(record: PartitionRecord): object {
  switch (record.type) {
    case "tokens":
      return {
        f: RECORD_FORMAT,
        t: record.type,
        i: record.incarnation,
        s: record.seq,
        p: record.provenance,
        in: record.signedInAtMs,
        after: record.afterMs,
        ids: record.signIns,
        un: record.unlisted || undefined,
        b: record.blob,
      };
    case "removed":
      return {
        f: RECORD_FORMAT,
        t: record.type,
        i: record.incarnation,
        s: record.seq,
        g: record.grant,
        at: record.removedAtMs,
      };
    case "account":
      return {
        f: RECORD_FORMAT,
        t: record.type,
        s: record.seq,
        out: record.signedOutAtMs,
        parts: record.partitions,
        until: record.unlistedUntilMs,
      };
    case "spent":
      return { f: RECORD_FORMAT, t: record.type, by: record.by };
    case "refused":
      throw new Error("a refused record is never written");
  }
}

/** Authentic bytes can still be wrong (another program with the same key): such a record is refused. */
function fromLayout(json: string): PartitionRecord | "newer" {
  try {
    const layout = JSON.parse(json) as Record<string, unknown>;
    if (typeof layout["f"] !== "number") return { type: "refused" };
    if (layout["f"] > RECORD_FORMAT) return "newer";
    switch (layout["t"]) {
      case "tokens":
        return tokensFrom(layout);
      case "removed":
        return removedFrom(layout);
      case "account":
        return accountFrom(layout);
      case "spent":
        return { type: "spent", by: layout["by"] === undefined ? undefined : text(layout["by"]) };
      default:
        return { type: "refused" };
    }
  } catch {
    return { type: "refused" };
  }
}

function tokensFrom(layout: Record<string, unknown>): TokenRecord {
  return {
    type: "tokens",
    incarnation: text(layout["i"]),
    seq: count(layout["s"]),
    provenance: provenanceFrom(layout["p"]),
    signedInAtMs: optionalCount(layout["in"]),
    afterMs: optionalCount(layout["after"]),
    signIns: idsFrom(layout["ids"]),
    unlisted: layout["un"] !== undefined,
    blob: blobFromObject(layout["b"]),
  };
}

function removedFrom(layout: Record<string, unknown>): RemovalMarker {
  return {
    type: "removed",
    incarnation: layout["i"] === undefined ? undefined : text(layout["i"]),
    seq: count(layout["s"]),
    grant: count(layout["g"]),
    removedAtMs: count(layout["at"]),
  };
}

function accountFrom(layout: Record<string, unknown>): AccountRecord {
  const partitions = layout["parts"];
  if (!Array.isArray(partitions)) throw new TypeError("partitions");
  return {
    type: "account",
    seq: count(layout["s"]),
    signedOutAtMs: optionalCount(layout["out"]),
    unlistedUntilMs: optionalCount(layout["until"]),
    partitions: partitions.map((entry: Record<string, unknown>): ListedPartition => ({
      id: partitionId(entry["id"]),
      kind: text(entry["kind"]) as ListedPartition["kind"],
      expiresAtMs: count(entry["expiresAtMs"]),
    })),
  };
}

function idsFrom(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new TypeError("ids");
  return value.map(text);
}

function partitionId(value: unknown): string {
  const id = text(value);
  // Throws for one that cannot be read back.
  decodeURIComponent(id);
  return id;
}

function provenanceFrom(value: unknown): Provenance {
  if (!isJsonObject(value)) throw new TypeError("provenance");
  for (const print of Object.keys(value)) {
    const { grant, generation } = value[print] as JsonObject;
    count(grant);
    count(generation);
  }
  return value as Provenance;
}

function text(value: unknown): string {
  if (typeof value !== "string" || value === "") throw new TypeError("text expected");
  return value;
}

function count(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new TypeError("number expected");
  return value;
}

function optionalCount(value: unknown): number | undefined {
  return value === undefined ? undefined : count(value);
}
