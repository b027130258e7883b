/** Real processes are killed while they work for a user: what they had reported as saved stays. */
import { DatabaseSync } from "node:sqlite";
import { randomInt } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { systemRuntime, type AccountRef, type Runtime } from "../../src/index.ts";
import { apis, people, scopeOf, storedFor, withExpiringTokens } from "../hazards/setting.ts";
import { ADA, READ } from "../support/world.ts";
import type { CrashPoint, Report, Task } from "./children/protocol.ts";
import { fingerprintOf, openSite, type Member, type Site } from "./members.ts";

const ROUNDS = 10;
const PROCESSES = 4;
const EACH = 12;
const ALL = PROCESSES * EACH;
/** From shortly before a report to long after the next one. */
const MAX_TURNS = 2_000;

/** How long a process that no longer renews it has the lease, ms. */
const LEASE_MS = { reusable: 10_000, "one-time": 40_000 } as const;

const SEED = Number(process.env["RACES_SEED"] ?? randomInt(2 ** 31));

/** Who is killed in a round, and when: so many turns of the event loop after so many reports. */
interface Kill {
  readonly victim: number;
  readonly afterReports: number;
  readonly turns: number;
}

const kills: fc.Arbitrary<Kill> = fc.noBias(
  fc.record({
    victim: fc.nat(PROCESSES - 1),
    afterReports: fc.nat(ALL / 2),
    turns: fc.nat(MAX_TURNS),
  }),
);

let site: Site;
afterEach(() => site.close());

test(`of ${PROCESSES} writers any is killed at any moment, and nothing that was reported as saved is lost`, async () => {
  console.log(`crash rounds: RACES_SEED=${SEED}`);
  const plan = fc.sample(kills, { seed: SEED, numRuns: ROUNDS });
  const users = people(ROUNDS);
  site = await openSite({ resources: apis(ALL + 1), users });
  let members: Member[] = [];
  let cutShort = 0;
  for (const [round, { username }] of users.entries()) {
    const account = await site.signIn(username, scopeOf(ALL));
    const missing = Array.from({ length: PROCESSES - members.length }, () => site.member());
    members = [...members, ...(await Promise.all(missing))];
    const { reports, survivors, killedAtMs } = await crashRound(members, account, plan[round]!);
    cutShort += ALL - reports.length;
    const where = `RACES_SEED=${SEED}, round ${round}`;
    // Nobody else is harmed.
    expect(survivors.length, where).toBe(PROCESSES - 1);
    expect(
      reports.filter(({ outcome, saved }) => outcome !== "ok" || !saved),
      where,
    ).toEqual([]);
    const stored = await storedTokens(username, where);
    expect(
      reports.filter(({ fingerprint }) => !stored.has(fingerprint!)),
      where,
    ).toEqual([]);
    expectLeasesToEnd(killedAtMs + LEASE_MS.reusable, where);
    await expectLeasesTaken(killedAtMs + LEASE_MS.reusable, where);
    members = survivors;
  }
  // The killed ones really had work left.
  expect(cutShort).toBeGreaterThan(0);
}, 180_000);

/** All write, and one is killed. */
async function crashRound(
  members: readonly Member[],
  account: AccountRef,
  kill: Kill,
): Promise<{ reports: readonly Report[]; survivors: Member[]; killedAtMs: number }> {
  const before = members.map((member) => member.reports.length);
  const newReports = (): Report[] => members.flatMap((member, index) => member.reports.slice(before[index]));
  const victim = members[kill.victim]!;
  const tasks = members.map((member, index): Promise<unknown> => {
    const scopes = Array.from({ length: EACH }, (_, step) => scopeOf(index * EACH + step));
    return member.run({ how: "each", account, scopes }).catch((error: unknown) => {
      if (member !== victim) throw error;
    });
  });
  while (newReports().length < kill.afterReports) await turn();
  for (let passed = 0; passed < kill.turns; passed += 1) await turn();
  await victim.kill();
  const killedAtMs = Date.now();
  await Promise.all(tasks);
  return { reports: newReports(), survivors: members.filter((member) => member !== victim), killedAtMs };
}

async function storedTokens(user: string, where: string): Promise<Set<string>> {
  const node = site.node();
  const blob = await storedFor({ authority: site.authority, node: () => node }, user);
  expect(node.events, where).toEqual([]);
  return new Set(Object.values(blob?.AccessToken ?? {}).map(({ secret }) => fingerprintOf(secret)));
}

interface LeaseRow {
  readonly key: string;
  readonly expires_at: number;
}

const LEASES = "SELECT key, expires_at FROM leases WHERE key LIKE '%:lease:%'";

/** Every lease that is left ends by then. */
function expectLeasesToEnd(byMs: number, where: string): void {
  for (const { expires_at: expiresAtMs } of leases()) expect(expiresAtMs, where).toBeLessThanOrEqual(byMs);
}

/** Whoever comes then gets every lease that is left. */
async function expectLeasesTaken(atMs: number, where: string): Promise<void> {
  const { lease } = site.node({ runtime: aheadBy(atMs - Date.now()) }).cache.parts;
  for (const { key } of leases()) {
    expect(await lease!.acquire(key, { owner: "next", ttlMs: 1 }), where).toEqual({ held: true });
    await lease!.release(key, { owner: "next" });
  }
}

/** Those for renewals: a code that was redeemed is claimed for as long as it could live. */
function leases(): LeaseRow[] {
  const db = new DatabaseSync(site.storePath, { readOnly: true });
  try {
    return db.prepare(LEASES).all() as unknown as LeaseRow[];
  } finally {
    db.close();
  }
}

interface Point extends CrashPoint {
  readonly mode: "reusable" | "one-time";
  /** What the next process finds out: nothing was spent, or it is all there, or the answer died with the process. */
  readonly next: "renews" | "is served" | "is refused";
}

test.for([
  { operation: "lease acquire", when: "before", mode: "one-time", next: "renews" },
  { operation: "lease acquire", when: "after", mode: "one-time", next: "renews" },
  { operation: "lease acquire", when: "after", mode: "reusable", next: "renews" },
  { operation: "put", when: "before", mode: "reusable", next: "renews" },
  // The limit of invariant 8: a crash between the provider's answer and its record costs a sign-in.
  { operation: "put", when: "before", mode: "one-time", next: "is refused" },
  { operation: "put", when: "after", mode: "one-time", next: "is served" },
  { operation: "activity put", when: "before", mode: "one-time", next: "is served" },
  { operation: "activity put", when: "after", mode: "one-time", next: "is served" },
  { operation: "lease release", when: "before", mode: "one-time", next: "is served" },
  { operation: "lease release", when: "after", mode: "one-time", next: "is served" },
] as const satisfies readonly Point[])(
  "killed $when $operation ($mode refresh tokens): the next process $next, and waits for no lease beyond its time",
  async ({ operation, when, mode, next }) => {
    site = await openSite({ refreshTokens: mode });
    const account = await withExpiringTokens(site.authority, () => site.signIn(ADA, READ));
    const member = await site.member({ crash: { operation, when } });
    const task: Task = { how: "each", account, scopes: [READ] };
    await expect(member.run(task)).rejects.toThrow("the process ended");
    await member.ended;
    expect(member.reports).toEqual([]);
    const calls = site.authority.count({ grant: "refresh_token" });

    const left = leases();
    expect(left).toHaveLength(isHeldAt({ operation, when }) ? 1 : 0);
    expectLeasesToEnd(Date.now() + LEASE_MS[mode], "the lease of the dead");
    if (left[0]) await expectTaken(left[0]);

    const endsAtMs = left[0]?.expires_at ?? Date.now();
    const node = site.node({ runtime: aheadBy(Math.max(endsAtMs - Date.now(), 0)) });
    const acquired = node.client.acquireTokenSilent({ account, scopes: READ });
    if (next === "is refused") {
      await expect(acquired).rejects.toMatchObject({ errorCode: "invalid_grant" });
    } else {
      const { metadata } = await acquired;
      expect(metadata.tokenSource).toBe(next === "renews" ? "identity-provider" : "cache");
      expect(metadata.saved).toBe(true);
    }
    expect(site.authority.count({ grant: "refresh_token" }) - calls).toBe(next === "is served" ? 0 : 1);
    expect(node.events.filter(({ type }) => type !== "unsealed")).toEqual([]);
  },
);

function isHeldAt({ operation, when }: CrashPoint): boolean {
  if (operation === "lease acquire") return when === "after";
  return operation !== "lease release" || when === "before";
}

/** Before its time nobody else gets the lease, and is told how long that will be. */
async function expectTaken({ key, expires_at: expiresAtMs }: LeaseRow): Promise<void> {
  const { parts } = site.node().cache;
  const result = await parts.lease!.acquire(key, { owner: "next", ttlMs: 1_000 });
  expect(result).toMatchObject({ held: false });
  expect(result.held || result.remainingMs).toBeLessThanOrEqual(expiresAtMs - Date.now() + 1_000);
}

/** The clocks of a process that comes so much later. */
function aheadBy(ms: number): Runtime {
  return {
    ...systemRuntime,
    now: () => systemRuntime.now() + ms,
    monotonicNow: () => systemRuntime.monotonicNow() + ms,
  };
}
