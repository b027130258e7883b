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
  const refused = book.world.ledger.calls.find(
    (other) =>
      other !== call &&
      other.process === call.process &&
      other.receivedAt !== undefined &&
      other.receivedAt <= call.sentAt &&
      call.sentAt < other.receivedAt + pauseMs(other, call),
  );
  if (!refused) return;
  const asked = `${call.grant} for #${call.operation?.id}`;
  book.fail(
    "memory",
    `${asked} was sent, although #${refused.operation?.id} was answered ${refused.outcome}`,
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
