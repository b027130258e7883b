/** What the provider is spared, and what callers are: refusals that are remembered, renewals ahead of time. */
import { nameOf, type Operation, type ProviderCall } from "../operation.ts";
import type { Book } from "./book.ts";

/** As long as src/msal/failure-memory.ts keeps a refusal at least. */
const REFUSED_MS = 60_000;
const CREDENTIAL_MS = 5_000;
const REFUSALS: ReadonlySet<string> = new Set(["invalid_grant", "interaction_required", "consent_required"]);
const TOKEN_GRANTS: ReadonlySet<string> = new Set(["refresh_token", "on_behalf_of"]);

/** A process that has been refused does not ask the same again before its time. */
export function checkRemembered(book: Book, call: ProviderCall): void {
  const { calls } = book.world.ledger;
  const refused = calls.find(
    (other) =>
      isKnown(other, call) &&
      call.sentAt < other.receivedAt + pauseMs(other, call) &&
      !calls.some((first) => isBehind(other, first)),
  );
  if (!refused) return;
  const asked = `${call.grant} for #${call.operation?.id}`;
  book.fail(
    "memory",
    `${asked} was sent, although #${refused.operation?.id} was answered ${refused.outcome}`,
  );
}

/** Its answer had come to the process of the other when that one was sent. */
function isKnown(call: ProviderCall, other: ProviderCall): call is Answered {
  return (
    call !== other &&
    call.process === other.process &&
    call.receivedAt !== undefined &&
    call.receivedAt <= other.sentAt
  );
}

type Answered = ProviderCall & { readonly receivedAt: number };

/** Of requests that were on their way at the same time the first refusal counts: a crowd is refused once. */
function isBehind(call: Answered, first: ProviderCall): boolean {
  return (
    call !== first &&
    call.process === first.process &&
    first.receivedAt !== undefined &&
    call.sentAt <= first.receivedAt &&
    first.receivedAt < call.receivedAt &&
    pauseMs(first, call) > 0
  );
}

function pauseMs(refused: ProviderCall, call: ProviderCall): number {
  if (refused.outcome === "invalid_client") return refused.client === call.client ? CREDENTIAL_MS : 0;
  if (refused.name !== call.name) return 0;
  if (refused.retryAfterMs > 0) return refused.retryAfterMs;
  return REFUSALS.has(refused.outcome) && TOKEN_GRANTS.has(refused.grant) ? REFUSED_MS : 0;
}

/** Whoever gets what the cache has does not wait for its renewal. */
export function checkNotAwaited(book: Book, operation: Operation): void {
  if (operation.fromCache !== true || operation.nearExpiry) return;
  const awaited = operation.calls.find(({ outcome }) => outcome === "ok");
  if (awaited) book.fail("waiting", `${nameOf(operation)} has waited for a renewal, and got what was there`);
}
