/** What both halves of a pair need: people, expiring tokens, and a look into tokenkeep's records. */
import { userPartition } from "../../src/client/partitions.ts";
import type { CacheBlob } from "../../src/blob/entities.ts";
import type { AuthorityResource, AuthorityUser } from "../../src/testing/authority/options.ts";
import type { Authority, World } from "../support/world.ts";

/** Tokens that have less left are renewed: MSAL's margin is 300 s. */
const EXPIRING_SECONDS = 200;
export const LIFETIME_SECONDS = 3_600;

export const TASKS = ["api://tasks/read"];

/** So many people of one tenant. */
export function people(count: number): AuthorityUser[] {
  return Array.from({ length: count }, (_, index) => ({
    username: `user-${index}@contoso.example`,
    name: `User ${index}`,
    tenant: "contoso",
  }));
}

/** So many APIs, with one scope each. */
export function apis(count: number): AuthorityResource[] {
  return Array.from({ length: count }, (_, index) => ({ audience: `api://api-${index}`, scopes: ["read"] }));
}

/** What is asked for the `index`th of {@link apis}. */
export function scopeOf(index: number): string[] {
  return [`api://api-${index}/read`];
}

/** Runs `work` while the authority hands out tokens that MSAL counts as expired at once. */
export async function withExpiringTokens<R>(authority: Authority, work: () => Promise<R>): Promise<R> {
  authority.setLifetimes({ accessTokenSeconds: EXPIRING_SECONDS });
  try {
    return await work();
  } finally {
    authority.setLifetimes({ accessTokenSeconds: LIFETIME_SECONDS });
  }
}

/** What tokenkeep has stored for a user, read past every copy in memory by a process of its own. */
export async function storedFor(
  world: Pick<World, "authority" | "node">,
  user: string,
): Promise<CacheBlob | undefined> {
  const reader = world.node({ l1: false });
  const { clientId } = reader.client;
  const authority = world.authority.msalAuth("contoso", clientId).authority;
  const partition = userPartition({ clientId, authority }, world.authority.homeAccountId(user));
  const state = await reader.cache.parts.partitions.read(partition, { fresh: true });
  return state.status === "present" ? state.record.blob : undefined;
}

/** Whose entries a blob holds, of any kind. */
export function ownersOf(blob: CacheBlob | undefined): Set<string> {
  const sections = blob ? [blob.Account, blob.IdToken, blob.AccessToken, blob.RefreshToken] : [];
  return new Set(sections.flatMap((section) => Object.values(section).map((entry) => entry.home_account_id)));
}

/** Bytes of everything in the store of a world. */
export async function storedBytes(world: World): Promise<number> {
  const { keys } = await world.store.admin.keys({ prefix: "", limit: 1_000 });
  const values = await Promise.all(keys.map((key) => world.store.get(key)));
  return values.reduce((sum, value) => sum + (typeof value === "object" ? value.bytes.length : 0), 0);
}

/** How many calls ended in which way: `ok`, or MSAL's or tokenkeep's error code, or the error's name. */
export async function outcomesOf(calls: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const settled of await Promise.allSettled(calls)) {
    const name = settled.status === "fulfilled" ? "ok" : codeOf(settled.reason);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

export function codeOf(error: unknown): string {
  const { errorCode, code, name } = error as { errorCode?: string; code?: string; name?: string };
  return errorCode ?? code ?? name ?? "unknown";
}

/** Calls `work` so often, all at once. */
export function atOnce<R>(times: number, work: (index: number) => Promise<R>): Promise<R>[] {
  return Array.from({ length: times }, (_, index) => work(index));
}
