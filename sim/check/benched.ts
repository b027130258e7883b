/** Nobody is benched for a credential that is gone (design, section 6). */
import type { AccountActivityRow } from "../../src/store/account-activity-store.ts";
import type { Book } from "./book.ts";

/**
 * A row that says of a refresh token that the provider refuses it: the provider must really refuse that one, and
 * not an older one of somebody who has signed in again meanwhile.
 */
export function checkBenched(book: Book, row: AccountActivityRow): void {
  if (row.status !== "needs-interaction" || row.failureCode !== "invalid_grant") return;
  const { ledger } = book.world;
  const spokenOf =
    row.credentialFingerprint === undefined ? undefined : ledger.byFingerprint(row.credentialFingerprint);
  if (!spokenOf || spokenOf.uses.length > 0 || spokenOf.family.revokedAt !== undefined) return;
  // A refresh token that was used twice ends its family at a strict provider.
  const isReused = ledger.calls.some(
    ({ refreshToken = "" }) =>
      ledger.refresh(refreshToken)?.family === spokenOf.family &&
      (ledger.refresh(refreshToken)?.uses.length ?? 0) > 1,
  );
  if (isReused) return;
  book.fail("activity", `${row.username} is benched for ${spokenOf.name}, which nobody has refused`);
}
