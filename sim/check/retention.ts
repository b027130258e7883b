/** Who is there stays signed in: a record that is in use is kept, also where nobody writes it. */
import { WORLD_START_MS } from "../cast.ts";
import { nameOf, type Operation } from "../operation.ts";
import { SHORT_TTL_MS } from "../profile.ts";
import type { StoreRecord } from "../store.ts";
import { endOf, type Book } from "./book.ts";

/** A use of a record in the second half of its time renews it; so it lasts for half of the time after any use. */
export function checkExpired(book: Book, key: string, { expiresAtMs }: StoreRecord): void {
  const { profile, operations, faults } = book.world;
  const user = operations.users.find((known) => key === book.userKey(known));
  if (user === undefined || profile.userTtlMs !== SHORT_TTL_MS) return;
  const endedAt = expiresAtMs - WORLD_START_MS;
  const slackMs = 4 * profile.maxSkewMs + 5_000;
  const use = operations.all.findLast((operation) => isUse(operation, user) && endOf(operation) <= endedAt);
  if (!use || endedAt >= endOf(use) + profile.userTtlMs / 2 - slackMs) return;
  const { machine, alive } = use.process;
  const excused =
    !alive ||
    faults.troubledSince(use.begin - 60_000, machine.number) ||
    book.lastLoss(key) >= use.begin - profile.userTtlMs ||
    book.signOuts(user, "web").some((signOut) => endOf(signOut) >= use.begin - profile.userTtlMs);
  if (!excused) book.fail("retention", `${user}'s record expired soon after ${nameOf(use)} had used it`);
}

function isUse({ app, user: whose, state, cacheLevel }: Operation, user: string): boolean {
  return app === "web" && whose === user && state === "ok" && (cacheLevel === "L1" || cacheLevel === "L2");
}
