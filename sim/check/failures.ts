/** What an operation failed with: nobody is told to sign in for the store's sake, and nothing fails for nothing. */
import { TokenkeepError } from "../../src/errors.ts";
import { describeError } from "../operations.ts";
import { nameOf, type Operation } from "../operation.ts";
import type { FaultKind } from "../profile.ts";
import { endOf, mayHaveEnded, mayHaveEndedJob, type Book } from "./book.ts";

const CHALLENGES: ReadonlySet<string> = new Set([
  "no_tokens_found",
  "invalid_grant",
  "interaction_required",
  "consent_required",
  "login_required",
  "bad_token",
]);
const NETWORK: ReadonlySet<string> = new Set([
  "network_error",
  "temporarily_unavailable",
  "server_error",
  "service_unavailable",
]);

/** A refused credential is tried again after a pause that doubles: no longer than it was wrong, and a little. */
const SECRET_AFTERMATH_MS = 60_000;

export function checkFailure(book: Book, operation: Operation): void {
  const { error } = operation;
  const text = `${nameOf(operation)} failed: ${describeError(error)}`;
  const code = (error as { readonly errorCode?: unknown } | undefined)?.errorCode;
  if (error instanceof TokenkeepError) return checkOwnError(book, operation, error, text);
  if (typeof code === "string" && CHALLENGES.has(code)) return checkChallenge(book, operation, text);
  if (typeof code === "string" && NETWORK.has(code) && wasTroubled(book, operation)) return;
  if (code === "invalid_client" && isSecretTo(book, operation)) return;
  // `accounts()` passes on what the store throws.
  if (operation.kind === "accounts" && wasTroubled(book, operation)) return;
  book.fail("failure", text);
}

/** The secret was wrong of late; or somebody is just finding out whether it still is, and others do not wait for that. */
function isSecretTo(book: Book, { begin, end = begin, process }: Operation): boolean {
  const { secrets, ledger } = book.world;
  if (secrets.wereWrongSince(begin - SECRET_AFTERMATH_MS)) return true;
  return ledger.requests.some(
    (request) => request.process === process && request.sentAt <= end && request.endedAt >= begin,
  );
}

const KEYS_OUT_OF_REACH: ReadonlySet<FaultKind> = new Set(["keys-fail", "key-id"]);

function wasTroubled(book: Book, operation: Operation): boolean {
  // Operations that join others' work began later than what they joined.
  return book.world.faults.troubledSince(operation.begin - 60_000);
}

function checkOwnError(book: Book, operation: Operation, error: TokenkeepError, text: string): void {
  if (error.code === "ERR_SIGNED_OUT" && operation.kind === "obo") {
    const known = book
      .signOuts(operation.user as string, "api")
      .some((signOut) => signOut.begin <= endOf(operation));
    return known ? undefined : book.fail("failure", text);
  }
  if (error.code === "ERR_SIGNED_OUT" && operation.kind === "job-begin") {
    const known = book.endings(operation).some((ending) => ending.begin <= endOf(operation));
    return known ? undefined : book.fail("failure", text);
  }
  if (error.code === "ERR_PROCESS_UNKNOWN") return checkJobUnknown(book, operation, text);
  if (error.code === "ERR_KEY_UNKNOWN") return checkKeyUnknown(book, operation, text);
  if (error.retryable && wasTroubled(book, operation)) return;
  book.fail("failure", text);
}

/** A job that was begun is there until something ends it, or the store loses it. */
function checkJobUnknown(book: Book, operation: Operation, text: string): void {
  const begun = visibleBeginning(book, operation);
  const key = book.keyOf(operation) as string;
  if (!begun || book.wentBack(key) || book.lastLoss(key) >= begun.begin) return;
  const ended = book
    .endings(operation)
    .some((ending) => ending.begin <= endOf(operation) && mayHaveEndedJob(book, ending, begun));
  if (!ended) book.fail("challenge", `${text}, although #${begun.id} began it`);
}

/** The provider ends a job's refresh token with its sign-in, or because it was used twice. */
function checkJobRefused(book: Book, operation: Operation, text: string): void {
  const revoked = [...book.world.ledger.families.values()].some(
    ({ user, signIn, revokedAt }) =>
      user === operation.user && signIn?.kind === "job-begin" && revokedAt !== undefined,
  );
  if (!revoked) checkJobUnknown(book, operation, text);
}

/** A key that can be had is had in time: only who keeps them, or a made-up id, is a reason to be without. */
function checkKeyUnknown(book: Book, operation: Operation, text: string): void {
  const from = operation.begin - 60_000;
  const { machine } = operation.process;
  if (!book.world.faults.troubledSince(from, machine.number, KEYS_OUT_OF_REACH)) book.fail("keys", text);
}

/** Invariant 4: only the user, or the provider, is a reason to ask for a sign-in; the store is none. */
function checkChallenge(book: Book, operation: Operation, text: string): void {
  if (operation.kind === "sign-in" || operation.user === undefined) return checkCode(book, operation, text);
  if (operation.kind === "job-resume") return checkJobRefused(book, operation, text);
  if (operation.kind === "obo" || operation.kind === "job-begin")
    return checkAssertionRefused(book, operation, text);
  const signedIn = visibleBeginning(book, operation);
  if (!signedIn) return;
  const signedOut = book
    .signOuts(operation.user, "web")
    .some(
      (signOut) =>
        signOut.begin <= endOf(operation) &&
        (mayHaveEnded(book, signOut, signedIn) || isEndedHere(book, signOut, operation)),
    );
  const key = book.userKey(operation.user);
  if (signedOut || book.wentBack(key) || book.lastLoss(key) >= signedIn.begin) return;
  // Of sign-ins at the same time any may have won. One that had to wait "takes the highest grant + 1 when it merges"
  // (design, section 6): its refresh token takes the place of whatever others have saved by then.
  const refused = [...book.world.ledger.families.values()].some(
    ({ signIn, revokedAt, user }) =>
      user === operation.user &&
      signIn?.kind === "sign-in" &&
      revokedAt !== undefined &&
      (endOf(signIn) >= signedIn.begin || signIn.saved === false),
  );
  if (refused) return;
  book.fail("challenge", `${text}, although #${signedIn.id} signed in`);
}

/**
 * "Sign-out with the store down removes locally" (design, section 6): as long as it waits there and the store does
 * not answer, this process knows no better.
 */
function isEndedHere(book: Book, signOut: Operation, { process, flightBegin }: Operation): boolean {
  return (
    signOut.process === process &&
    signOut.signedOut?.status === "pending" &&
    process.cache.unsaved().entries > 0 &&
    book.world.faults.troubledSince(flightBegin, process.machine.number)
  );
}

/** The youngest sign-in that the operation had to find, at the latest when the provider had refused it. */
function visibleBeginning(book: Book, operation: Operation): Operation | undefined {
  const refused = operation.calls.filter((call) => call.delivered).at(-1)?.at;
  const latest = Math.max(operation.flightBegin, refused ?? 0);
  return book
    .beginnings(operation)
    .filter(
      (signIn) =>
        signIn.state === "ok" &&
        endOf(signIn) <= latest &&
        (signIn.saved === true || (signIn.process === operation.process && signIn.process.alive)),
    )
    .toSorted((a, b) => b.begin - a.begin)[0];
}

/** A code may die with its grant; otherwise it is good for exactly one redemption. */
function checkCode(book: Book, operation: Operation, text: string): void {
  if (book.world.profile.revokes || wasTroubled(book, operation)) return;
  book.fail("challenge", text);
}

/** Assertions expire, and end with their sign-in. */
function checkAssertionRefused(book: Book, operation: Operation, text: string): void {
  const facts = book.world.ledger.access(operation.assertion ?? "");
  const over = !facts || facts.expiresAt <= endOf(operation) + 1_000 || facts.family?.revokedAt !== undefined;
  if (!over) book.fail("challenge", text);
}
