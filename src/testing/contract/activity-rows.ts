/** Rows for the suites, and comparing them. */
import { expectBytes } from "./bytes.ts";
import type { ContractExpect } from "./runner.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  StoredActivity,
} from "../../store/account-activity-store.ts";

/** A row in which every field has a value of its own. Times are of 2024, beyond 32 bits. */
export function activityRow(
  fields: Partial<AccountActivityRow> & { readonly accountKey: string },
): AccountActivityRow {
  return {
    clientId: "client",
    homeAccountId: "uid.utid",
    localAccountId: "uid",
    tenantId: "utid",
    environment: "login.microsoftonline.com",
    username: "user@example.com",
    name: "Some User",
    status: "needs-interaction",
    failureCode: "invalid_grant",
    failureSubError: "bad_token",
    failureClaims: "{}",
    failureCorrelationId: "correlation",
    failedAt: 1_704_067_200_001,
    failedAttempts: 3,
    nextAttemptAt: 1_704_067_200_002,
    createdAt: 1_704_067_200_003,
    lastActivityAt: 1_704_067_200_004,
    lastSignInAt: 1_704_067_200_005,
    lastRefreshAt: 1_704_067_200_006,
    lastWorkerRunAt: 1_704_067_200_007,
    confirmed: true,
    credentialFingerprint: "fingerprint",
    sealedProperties: Uint8Array.of(1, 2, 3),
    ...fields,
  };
}

/** Fails unless the store has exactly this row under this revision. */
export async function expectRow(
  expect: ContractExpect,
  activity: AccountActivityStore,
  expected: StoredActivity,
): Promise<void> {
  const found = await activity.get(expected.row.accountKey);
  expect(found === undefined).toBe(false);
  if (found !== undefined) expectSameRow(expect, found, expected);
}

/** Fails unless both are the same row and revision, field by field. */
export function expectSameRow(expect: ContractExpect, found: StoredActivity, expected: StoredActivity): void {
  const { sealedProperties: foundBytes, ...foundRow } = found.row;
  const { sealedProperties, ...row } = expected.row;
  expect(found.revision).toBe(expected.revision);
  expect(Object.keys(foundRow).toSorted()).toEqual(Object.keys(row).toSorted());
  for (const [field, value] of Object.entries(row)) {
    // With its name, so that a failure says which field it is.
    expect([field, foundRow[field as keyof typeof foundRow]]).toEqual([field, value]);
  }
  expect(foundBytes === undefined).toBe(sealedProperties === undefined);
  if (sealedProperties !== undefined) expectBytes(expect, foundBytes, sealedProperties);
}
