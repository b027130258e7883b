/** So many users resident in one process. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { memoryStore } from "../../../src/adapters/memory.ts";
import type { ConfidentialClient, Store, Stored } from "../../../src/index.ts";
import { parseBlob } from "../../../src/blob/entities.ts";
import { serveApart, settingsOf, type Measured } from "../../lib/apart.ts";
import type { Subject } from "../../lib/compare.ts";
import { uidOf } from "../../lib/blob.ts";
import { createApplication, msalAlone, mustHit, ours, SCOPES } from "../../lib/parties.ts";

export interface UsersSettings {
  readonly users: number;
  readonly l1MaxBytes: number;
  /** Also beside one client of MSAL that holds everybody. */
  readonly withMsal: boolean;
  readonly isQuick: boolean;
}

/** Small, so that a million fit: about 2 KB of JSON. */
export const SMALL = { accessTokens: 1, accessTokenLength: 512, refreshTokenLength: 256, isSmall: true };
const HOT = 100;
/** Coprime with every number of users: each is asked for as often as any other, and never in order. */
const STRIDE = 611_953;

const settings = settingsOf<UsersSettings>();
const { users, l1MaxBytes, withMsal } = settings;
const application = createApplication();
const accounts = Array.from({ length: users }, (_, index) => application.account(index));
const requests = accounts.map((account) => ({ account, scopes: SCOPES }));
const hot = (index: number): (typeof requests)[number] => requests[((index % HOT) * 7_919) % users]!;
const uniform = (index: number): (typeof requests)[number] => requests[(index * STRIDE) % users]!;

const before = memoryInUse();
const client = await startClient();
const among = (what: string): string => `${what}, ${users.toLocaleString("en")} users`;
const hits: Subject[] = [
  { name: among("tokenkeep, hot set of 100"), operation: (index) => client.acquireTokenSilent(hot(index)) },
  { name: among("tokenkeep, uniform"), operation: (index) => client.acquireTokenSilent(uniform(index)) },
];
// Everybody comes once, and their record is read.
for (const request of requests) await client.acquireTokenSilent(request);
for (const { operation } of hits) await mustHit(() => operation(3));
const used = memoryInUse();
const loopDelay = await loopDelays(hits[1]!);

const map = new Map(
  accounts.map(({ homeAccountId }) => [homeAccountId, { accessToken: homeAccountId.slice(1) }]),
);
const find = async (name: string): Promise<unknown> => map.get(name);
const lookups: Subject[] = [
  {
    name: among("awaited Map lookup, hot set of 100"),
    operation: (index) => find(hot(index).account.homeAccountId),
  },
  {
    name: among("awaited Map lookup, uniform"),
    operation: (index) => find(uniform(index).account.homeAccountId),
  },
];

const measured: Record<string, Measured> = {
  [hits[1]!.name]: {
    "bytes per user": (used - before) / users,
    ...loopDelay,
  },
};
const msal: Subject[] = withMsal ? [await msalOf()] : [];
serveApart([...hits, ...lookups, ...msal], measured);

/** Its store has a record for whoever is asked for, made from one that was stored, and confirms every copy of it. */
async function startClient(): Promise<ConfidentialClient> {
  const stored = memoryStore();
  const first = ours(application, stored, { keys: "unsealed" });
  await first.bring(0, application.blob(0, SMALL));
  const { keys } = await stored.admin.keys({ prefix: "tokenkeep:user:", limit: 1 });
  const record = (await stored.get(keys[0] ?? "")) as Stored;
  const text = Buffer.from(record.bytes).toString("latin1");
  const uid = /:(?<uid>[0-9a-f-]{36})\.[0-9a-f-]{36}$/;
  const store: Store = {
    name: "confirming",
    async get(key, { unlessVersion } = {}) {
      if (unlessVersion !== undefined) return "unchanged";
      const bytes = Buffer.from(text.replaceAll(uidOf(0), uid.exec(key)?.[1] ?? ""), "latin1");
      return { ...record, bytes };
    },
    put: async () => ({ stored: true }),
    touch: async () => true,
    delete: async () => true,
    backplane: {
      changeCounter: async () => "0",
      publish: async () => undefined,
      subscribe: () => () => undefined,
    },
  };
  return ours(application, store, { keys: "unsealed", l1: { maxBytes: l1MaxBytes } }).client;
}

/** How late the event loop is while it serves twenty tokens at every turn. */
async function loopDelays({ operation }: Subject, perTurn = 20): Promise<Measured> {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  const until = performance.now() + (settings.isQuick ? 200 : 3_000);
  histogram.enable();
  for (let index = 0; performance.now() < until;) {
    for (let turn = 0; turn < perTurn; turn += 1) await operation(index++);
    await setImmediate();
  }
  histogram.disable();
  return { "loop delay p99 ms": histogram.percentile(99) / 1e6, "loop delay max ms": histogram.max / 1e6 };
}

async function msalOf(): Promise<Subject> {
  const sections = ["Account", "IdToken", "AccessToken", "RefreshToken", "AppMetadata"] as const;
  const blobs = accounts.map((_, index) => parseBlob(application.blob(index, SMALL)));
  const all = Object.fromEntries(
    sections.map((section) => [section, Object.assign({}, ...blobs.map((blob) => blob[section]))]),
  );
  const alone = msalAlone(application, [JSON.stringify(all)]);
  const subject: Subject = {
    name: among("msal-node, no plugin, one client, uniform"),
    operation: (index) => alone.acquireTokenSilent(uniform(index)),
  };
  await mustHit(() => subject.operation(3));
  measured[subject.name] = await loopDelays(subject, 1);
  return subject;
}

/** After the garbage has gone: what is held, on and off the heap. */
function memoryInUse(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
