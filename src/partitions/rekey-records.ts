/** The records of a store, for {@link rekey}: every kind, removal markers and account records included. */
import { reseal, type Sealer } from "../envelope/sealer.ts";
import { TokenkeepError } from "../errors.ts";
import { randomId, type Runtime } from "../runtime.ts";
import type { BlobAdmin } from "../store/blob-admin.ts";
import type { BlobStore, Stored } from "../store/blob-store.ts";
import { isOutdated } from "../store/outdated.ts";
import { unopenedOf } from "../store/unopened.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import { createRecordCalls } from "../tiers/record-calls.ts";
import type { StoreCalls } from "../tiers/store-calls.ts";
import type { Codec } from "../tiers/tiers.ts";
import { recordContext } from "./codec.ts";
import { isPartitionKind } from "./partition.ts";
import type { PartitionRecord } from "./record.ts";
import type { RekeyOutcome, RekeyPass } from "./rekey.ts";
import type { Retention } from "./retention.ts";

export interface RekeyRecordsOptions {
  readonly store: BlobStore & { readonly admin?: BlobAdmin };
  readonly calls: StoreCalls;
  readonly codec: Codec<PartitionRecord>;
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly retention: Retention;
  readonly runtime: Runtime;
  readonly emit: Emit;
}

const MAX_ATTEMPTS = 5;
/** A page of keys may have to be searched for. */
const LIST_BUDGET_MS = 15_000;

/** @throws `ERR_NOT_SUPPORTED` if the store cannot list its keys */
export function createRecordsPass(options: RekeyRecordsOptions): RekeyPass {
  const { store, calls, namespace } = options;
  const { admin } = store;
  if (!admin) {
    throw new TokenkeepError(
      "ERR_NOT_SUPPORTED",
      `the store ${store.name} cannot list its keys (it has no \`admin\`), so not all of its records can be found`,
    );
  }
  return {
    async page(limit, cursor) {
      const query = { prefix: `${namespace}:`, limit, ...(cursor !== undefined && { cursor }) };
      const page = await calls.run("reads", "keys", () => admin.keys(query), { budgetMs: LIST_BUDGET_MS });
      // A backend may keep other things beside records, under names of its own.
      const keys = page.keys.filter((key) => isPartitionKind(recordContext(namespace, key).kind));
      const work = keys.map((key) => () => resealRecord(options, key));
      return { work, unopened: unopenedOf(page), cursor: page.cursor };
    },
  };
}

/**
 * The text inside stays as it is, byte for byte, whatever release wrote it. Other processes find another version
 * and read again: to them nothing has changed.
 */
async function resealRecord(options: RekeyRecordsOptions, key: string): Promise<RekeyOutcome> {
  const records = createRecordCalls(options.store, options.calls);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const stored = (await records.get(key, { withExpiry: true })) as Stored | undefined;
    if (stored === undefined) return "skipped";
    const resealed = await reseal(options.sealer, stored.bytes, recordContext(options.namespace, key));
    const bytes = resealed ?? (isOutdated(stored) ? stored.bytes : undefined);
    if (bytes === undefined) return "skipped";
    if (typeof bytes === "string") {
      options.emit({ type: "record-unreadable", partition: partitionLabel(key), reason: bytes });
      return "unreadable";
    }
    const ttlMs = await remaining(options, key, stored);
    if (ttlMs <= 0) return "skipped";
    const version = randomId(options.runtime);
    const { current } = await records.put(key, bytes, { ifVersion: stored.version, ttlMs, version });
    if (current?.version === version) return "resealed";
  }
  return "conflicts";
}

/**
 * How long the record has left, from now: what the store is told counts from later, so nothing is shortened. A
 * touch between reading and writing is lost; its process reads once more after it (`onKept` in tiers/two-tier.ts),
 * finds the new version, and renews again.
 */
async function remaining(options: RekeyRecordsOptions, key: string, stored: Stored): Promise<number> {
  if (stored.expiresAtMs !== undefined) return Math.ceil(stored.expiresAtMs - options.runtime.now());
  // The store does not tell: as long as the policy allows, rather than a moment too short.
  const { codec, retention } = options;
  try {
    const record = await codec.decode(key, stored.bytes);
    return Math.max(codec.lifetime?.(key, record).ttlMs ?? 0, retention.removalMarkerTtlMs);
  } catch {
    // A newer release's.
    return retention.userTtlMs;
  }
}
