/** How often the identity provider is asked: invariant 7. */
import type { AccessTokenFacts } from "../ledger.ts";
import { nameOf, type ProviderCall } from "../operation.ts";
import { endOf, type Book } from "./book.ts";

/** How far back trouble still explains an extra call: longer than anybody waits for anything. */
const AFTERMATH_MS = 120_000;

export function checkProviderCall(book: Book, call: ProviderCall): void {
  if (call.grant !== "refresh_token") return;
  checkUsedOnce(book, call);
  checkNeeded(book, call);
}

/** In one-time mode a second use of a refresh token ends the sign-in. */
function checkUsedOnce(book: Book, call: ProviderCall): void {
  const { ledger, profile, faults } = book.world;
  const facts = call.refreshToken === undefined ? undefined : ledger.refresh(call.refreshToken);
  const first = facts?.uses[0];
  if (profile.refreshTokens !== "one-time" || !facts || !first || first === call) return;
  if (facts.family.revokedAt !== undefined) return;
  facts.family.revokedAt = call.at;
  const excused =
    !first.delivered ||
    first.operation?.saved === false ||
    first.operation?.state === "crashed" ||
    faults.troubledSince(first.at - AFTERMATH_MS) ||
    book.lastLoss(book.userKey(facts.family.user), book.jobKey(facts.family.user)) >= first.at;
  if (excused) return;
  book.fail(
    "refreshes",
    `${facts.name} was used by #${first.operation?.id} and again by #${call.operation?.id}`,
  );
}

/** A plain silent call asks for nothing that the store has: somebody else's answer serves it as well. */
function checkNeeded(book: Book, call: ProviderCall): void {
  const { ledger, profile, faults } = book.world;
  const operation = call.operation;
  if (operation?.kind !== "silent" || call.claims || call.outcome !== "ok") return;
  const user = operation.user as string;
  const earlier = book.world.ledger.calls.findLast(
    (other) => other !== call && answersToo(ledger.access(other.accessToken ?? ""), operation.scopes[0]),
  );
  const facts = ledger.access(earlier?.accessToken ?? "");
  const by = earlier?.operation;
  if (!facts || !by) return;
  const clearly = call.at + 2 * profile.maxSkewMs + 2_000;
  const stillGood = facts.expiresAt - 300_000 > clearly && facts.refreshAt > clearly;
  const excused =
    !stillGood ||
    (by.saved !== true && by.state !== "running") ||
    faults.troubledSince(by.begin - AFTERMATH_MS) ||
    facts.family !== ledger.access(call.accessToken ?? "")?.family ||
    book.lastLoss(book.userKey(user)) >= by.begin ||
    [...book.signOuts(user, "web"), ...book.signIns(user)].some(
      (other) => other !== by && endOf(other) >= by.begin,
    );
  if (!excused)
    book.fail(
      "refreshes",
      `${nameOf(operation)} asked the provider, although #${by.id} had got ${facts.name}`,
    );

  function answersToo(candidate: AccessTokenFacts | undefined, scope: string | undefined): boolean {
    return (
      candidate?.user === user &&
      candidate.tenantId === operation?.tenantId &&
      candidate.clientId === ledger.access(call.accessToken ?? "")?.clientId &&
      candidate.scopes.some((known) => known === scope || known.endsWith(`/${scope}`))
    );
  }
}
