/** What lies in the store afterwards, and whether any secret is where none may be. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stringSecrets } from "../../examples/demo/scan.ts";
import { SECTIONS } from "../../src/blob/entities.ts";
import { parseKeys } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { createRecordCodec } from "../../src/partitions/codec.ts";
import type { PartitionRecord } from "../../src/partitions/record.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { createWindowScan } from "../canary/windows.ts";
import { openStore } from "./children/store.ts";
import type { ChildSettings } from "./children/settings.ts";

/** Which store, and where. */
export type StorePlace = Pick<ChildSettings, "store" | "storePath">;

/** One record as whoever has the keys can read it. */
export interface Lying {
  readonly key: string;
  readonly kind: string;
  readonly record: PartitionRecord;
  /** Home account ids of everything in it. */
  readonly owners: readonly string[];
}

const NAMESPACE = "tokenkeep";

/** Opens every record in the store with the keys, given as text, or `"unsealed"`. */
export async function openRecords(place: StorePlace, keys: string): Promise<Lying[]> {
  const store = openStore(place);
  const codec = createRecordCodec({
    sealer: createSealer(keys === "unsealed" ? "unsealed" : parseKeys(keys, "keys"), systemRuntime),
    namespace: NAMESPACE,
    runtime: systemRuntime,
    emit: () => undefined,
  });
  try {
    const { keys: found } = await store.admin.keys({ prefix: "", limit: 10_000 });
    const records: Lying[] = [];
    for (const key of found) {
      const stored = await store.get(key);
      if (typeof stored !== "object") continue;
      const record = await codec.decode(key, stored.bytes);
      records.push({ key, kind: key.split(":")[1] ?? "", record, owners: ownersOf(record) });
    }
    return records;
  } finally {
    await store.close();
  }
}

function ownersOf(record: PartitionRecord): string[] {
  if (record.type !== "tokens") return [];
  const owners = new Set<string>();
  for (const section of SECTIONS) {
    if (section === "AppMetadata") continue;
    for (const entity of Object.values(record.blob[section])) owners.add(entity.home_account_id);
  }
  return [...owners];
}

/** Records that hold anybody's entries but their own subject's, or are not what they should be. */
export function foreignRecords(records: readonly Lying[]): string[] {
  return records
    .filter(({ key, kind, record, owners }) => {
      if (record.type === "refused") return true;
      if (kind === "app") return owners.some((owner) => owner !== "");
      // Whose they are only their own entries say: the key holds a hash.
      if (kind === "obo" || kind === "long-running") return owners.length > 1;
      if (kind !== "user" || record.type !== "tokens") return owners.length > 0;
      const subject = decodeURIComponent(key.slice(key.lastIndexOf(":") + 1));
      return owners.length !== 1 || owners[0] !== subject;
    })
    .map(({ key }) => key);
}

/** The bytes of a SQLite database and of the files beside it, or of every file in the folder. */
export function rawStore({ store, storePath: path }: StorePlace): Buffer {
  if (store === "filesystem") return rawFolder(path);
  const files = [path, `${path}-wal`, `${path}-shm`, `${path}-journal`].filter((file) => existsSync(file));
  return Buffer.concat(files.map((file) => readFileSync(file)));
}

function rawFolder(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  return Buffer.concat(files.map((file) => readFileSync(join(file.parentPath, file.name))));
}

/** Of how many secrets any 24 characters lie in the bytes. Which ones is not told, for the answer is printed. */
export function leaksIn(bytes: Buffer, secrets: Iterable<string>): number {
  return createWindowScan(stringSecrets("secret", secrets)).find([{ name: "", bytes }]).length;
}
