/** How long something that is over may still be answered. */
import type { AccessTokenFacts } from "../ledger.ts";
import { FAULT_KINDS, type FaultKind } from "../profile.ts";
import { nameOf, type Operation } from "../operation.ts";
import { COHERENCE_BOUND_MS, endedBy, endOf, holds, isAssertionOver, type Book } from "./book.ts";

/** A record whose key is out of reach says no more than a store that does not answer. */
const UNREACHABLE: ReadonlySet<FaultKind> = new Set([
  ...FAULT_KINDS.filter((kind) => kind !== "suspend"),
  "keys-fail",
  "key-id",
]);

/** Invariants 3 and 6. */
export function checkStaleness(book: Book, operation: Operation): void {
  const facts =
    operation.accessToken === undefined ? undefined : book.world.ledger.access(operation.accessToken);
  if (
    !facts ||
    operation.user === undefined ||
    operation.kind === "sign-in" ||
    operation.kind === "job-begin"
  )
    return;
  for (const signOut of book.endings(operation)) {
    if (isOver(book, operation, facts, signOut) && isTooLate(book, operation, signOut)) {
      return book.fail("staleness", `${nameOf(operation)} got ${facts.name} after sign-out #${signOut.id}`);
    }
  }
  checkStrength(book, operation, facts);
}

function isOver(book: Book, operation: Operation, facts: AccessTokenFacts, signOut: Operation): boolean {
  if (operation.assertion === undefined) return endedBy(facts.family, signOut);
  return signOut.kind === "sign-out-everywhere" && isAssertionOver(book, operation.assertion, signOut);
}

/** In the process that signed out at once; elsewhere within the bound, or as fail-safe allows. */
function isTooLate(book: Book, operation: Operation, signOut: Operation): boolean {
  const key = book.keyOf(operation) as string;
  // Within one millisecond only the numbers say what began first.
  if (operation.id < signOut.id || endOf(signOut) > operation.begin) return false;
  if (!signOut.signedOut || lossOf(book, key, signOut) >= signOut.begin) return false;
  if (signOut.process === operation.process && operation.assertion === undefined) {
    // What it has forgotten comes back only with a sign-in, whatever the store still says.
    // Where the store has no room for a marker, a refresh that is under way may write again (`durable: false`).
    const isFull = book.world.faults.troubledSince(signOut.begin, undefined, new Set(["full"]));
    if (signOut.signedOut.durable) return true;
    // With the list out of reach a sign-out everywhere may not know the job; its stop knows.
    const isKnown = operation.jobKey === undefined || signOut.kind === "job-stop";
    if (signOut.signedOut.status === "pending" && !isFull && isKnown)
      return !hasReturned(book, operation, signOut);
  }
  return holds(book, signOut, key) && isPastBound(book, operation, endOf(signOut));
}

/** "Only a sign-in after it does": a sign-out that waits gives up on a life that somebody has signed in to since. */
function hasReturned(book: Book, operation: Operation, signOut: Operation): boolean {
  return book
    .beginnings(operation)
    .some((signIn) => endOf(signIn) > signOut.begin && signIn.begin < endOf(operation));
}

function lossOf(book: Book, key: string, { user }: Operation): number {
  return book.lastLoss(key, book.accountKey(user as string));
}

function isPastBound(book: Book, operation: Operation, since: number): boolean {
  const { faults, profile } = book.world;
  const waited = operation.flightBegin - since;
  if (waited <= COHERENCE_BOUND_MS) return false;
  // A machine that has slept knows it by its wall clock, and asks before it answers.
  if (!faults.troubledSince(since, operation.process.machine.number, UNREACHABLE)) return true;
  // What a process could not save it goes on showing, together with what that was built on (invariant 8).
  if (operation.assertion !== undefined || operation.process.cache.unsaved().entries > 0) return false;
  return waited > Math.max(profile.maxStaleMs, COHERENCE_BOUND_MS) + 1_000;
}

/** What one node strengthens, the others see within the bound: they do not go on with weaker tokens. */
function checkStrength(book: Book, operation: Operation, facts: AccessTokenFacts): void {
  if (operation.kind !== "silent") return;
  const { operations, ledger, profile, faults } = book.world;
  const key = book.keyOf(operation) as string;
  const slack = 2 * profile.maxSkewMs + 2_000;
  for (const other of operations.all) {
    const strengthens = other.kind === "step-up" || other.kind === "sign-in";
    if (!strengthens || other.user !== operation.user || other.saved !== true || other.fromCache) continue;
    if (other.tenantId !== operation.tenantId || other.scopes[0] !== operation.scopes[0]) continue;
    const stronger = ledger.access(other.accessToken ?? "");
    if (!stronger || facts.issuedAt + slack >= stronger.issuedAt) continue;
    // At the same time either may win, and what had to wait for the store counts as new when it gets there.
    if (facts.operation?.saved === false) continue;
    if (facts.operation && endOf(facts.operation) >= other.begin) continue;
    const excused =
      // What the store had lost meanwhile is not announced as replaced.
      book.lastLoss(key) >= facts.issuedAt ||
      faults.troubledSince(other.begin) ||
      book.signOuts(operation.user as string, "web").some((signOut) => endOf(signOut) >= other.begin);
    if (!excused && operation.flightBegin - endOf(other) > COHERENCE_BOUND_MS) {
      return book.fail(
        "staleness",
        `${nameOf(operation)} got ${facts.name}, older than that of #${other.id}`,
      );
    }
  }
}
