/** What an operation answered: the right user's token, and really saved if it says so. */
import { fullScope, API_ID, WEB_ID, APP_SCOPES } from "../cast.ts";
import type { AccessTokenFacts } from "../ledger.ts";
import { nameOf, type Operation } from "../operation.ts";
import { endOf, type Book } from "./book.ts";

export function checkAnswer(book: Book, operation: Operation): void {
  if (operation.accessToken === undefined) return;
  const facts = book.world.ledger.access(operation.accessToken);
  if (!facts) return book.fail("isolation", `${nameOf(operation)} got a token that was never given out`);
  checkOwner(book, operation, facts);
  checkStillGood(book, operation, facts);
  checkSaved(book, operation, facts);
}

/** Invariant 1. */
function checkOwner(book: Book, operation: Operation, facts: AccessTokenFacts): void {
  const { user, account, scopes, tenantId } = operation;
  const expected = operation.app === "api" ? API_ID : WEB_ID;
  if (facts.user !== user || facts.clientId !== expected || facts.tenantId !== tenantId) {
    return book.fail(
      "isolation",
      `${nameOf(operation)} got ${facts.name}, which is ${facts.user ?? "the app"}'s`,
    );
  }
  if (user !== undefined && account?.homeAccountId !== book.world.operations.account(user).homeAccountId) {
    return book.fail("isolation", `${nameOf(operation)} got another account`);
  }
  if (scopes !== APP_SCOPES && !scopes.every((scope) => facts.scopes.includes(fullScope(scope)))) {
    return book.fail("isolation", `${nameOf(operation)} got a token for something else`);
  }
  if (operation.kind === "step-up" && !facts.strong) {
    return book.fail("staleness", `${nameOf(operation)} got a token without the claims`);
  }
}

function checkStillGood(book: Book, operation: Operation, facts: AccessTokenFacts): void {
  if (facts.expiresAt + 2 * book.world.profile.maxSkewMs + 1_000 < operation.begin) {
    book.fail("staleness", `${nameOf(operation)} got ${facts.name}, which had expired`);
  }
}

/** Invariant 2: `saved` means that the store has it, or has something newer in its place. */
function checkSaved(book: Book, operation: Operation, facts: AccessTokenFacts): void {
  if (operation.saved !== true || operation.fromCache) return;
  const key = book.keyOf(operation);
  const token = operation.accessToken as string;
  if (key === undefined || book.everStored.has(token)) return;
  const excused =
    book.lastLoss(key) >= operation.flightBegin ||
    (operation.user !== undefined &&
      book.endings(operation).some((signOut) => endOf(signOut) >= operation.flightBegin));
  if (excused) return;
  const stored = book.world.store.records.get(key);
  const record = stored && book.decode(key, stored);
  const heir =
    record?.type === "tokens" &&
    Object.values(record.blob.AccessToken).some(({ secret }) =>
      book.world.ledger.access(secret)?.scopes.some((scope) => facts.scopes.includes(scope)),
    );
  if (!heir) book.fail("lost", `${nameOf(operation)} says ${facts.name} is saved, and it never was`);
}
