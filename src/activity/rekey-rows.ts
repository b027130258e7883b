/** Seals the properties of activity rows anew; see `partitions/rekey.ts`. */
import { reseal, type Sealer } from "../envelope/sealer.ts";
import { randomId, type Runtime } from "../runtime.ts";
import type { AccountActivityStore, StoredActivity } from "../store/account-activity-store.ts";
import { isOutdated } from "../store/outdated.ts";
import { unopenedOf, type CountsUnopened } from "../store/unopened.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import { propertiesContext } from "./activity.ts";

export interface RekeyRowsOptions {
  readonly store: AccountActivityStore;
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly runtime: Runtime;
  readonly emit: Emit;
}

const MAX_ATTEMPTS = 5;

/** Pages of rows with properties, each with the work on it. */
export function createRowsPass(options: RekeyRowsOptions) {
  const { store, namespace } = options;
  return {
    async page(limit: number, cursor: string | undefined) {
      const counts: CountsUnopened = { countsUnopened: true };
      const query = { ...counts, keyPrefix: `${namespace}:`, limit, ...(cursor !== undefined && { cursor }) };
      const page = await store.list(query);
      const rows = page.rows.filter(
        (stored) => isOutdated(stored) || stored.row.sealedProperties !== undefined,
      );
      const work = rows.map((stored) => () => resealRow(options, stored));
      return { work, unopened: unopenedOf(page), cursor: page.cursor };
    },
  };
}

async function resealRow(
  options: RekeyRowsOptions,
  listed: StoredActivity,
): Promise<"resealed" | "skipped" | "unreadable" | "conflicts"> {
  const { store, sealer, namespace, runtime, emit } = options;
  const { accountKey } = listed.row;
  let stored: StoredActivity | undefined = listed;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    if (!stored) return "skipped";
    const sealed = stored.row.sealedProperties;
    // A database may hand out text where bytes were.
    const bytes = sealed instanceof Uint8Array ? sealed : new Uint8Array();
    const resealed = sealed && (await reseal(sealer, bytes, propertiesContext(namespace, accountKey)));
    if (resealed === undefined && !isOutdated(stored)) return "skipped";
    const sealedProperties = resealed ?? sealed;
    if (typeof sealedProperties === "string") {
      emit({ type: "record-unreadable", partition: partitionLabel(accountKey), reason: sealedProperties });
      return "unreadable";
    }
    const how = { revision: randomId(runtime), ifRevision: stored.revision };
    if ((await store.put({ ...stored.row, sealedProperties }, how)).stored) return "resealed";
    stored = await store.get(accountKey);
  }
  return "conflicts";
}
