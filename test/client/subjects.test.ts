import { expect, test } from "vitest";
import type { AccountRef } from "../../src/activity/account-ref.ts";
import { createUserPartitions } from "../../src/client/context.ts";
import { createSubjects } from "../../src/client/subjects.ts";
import { parseAuthority } from "../../src/msal/issuer.ts";
import type { Partitions } from "../../src/partitions/partitions.ts";

const TENANT = "00000000-0000-4000-8000-00000000000a";
const OTHER_TENANT = "00000000-0000-4000-8000-00000000000b";
const authority = parseAuthority({ authority: `https://login.microsoftonline.com/${TENANT}` });
const other = parseAuthority({ authority: `https://login.microsoftonline.com/${OTHER_TENANT}` });

const placeOf: Partitions["place"] = (partition) => ({ key: partition.id, partition, slot: undefined });

const accountOf = (fields: Partial<AccountRef> = {}): AccountRef => ({
  homeAccountId: `00000000-0000-4000-8000-000000000001.${TENANT}`,
  environment: "login.microsoftonline.com",
  tenantId: TENANT,
  localAccountId: "local",
  username: "ada@contoso.example",
  ...fields,
});

test("what was made of an account is used again for an equal one", () => {
  const subjects = createSubjects(createUserPartitions("client"), placeOf);
  const first = subjects(accountOf(), authority, false);
  expect(subjects(accountOf(), authority, false)).toBe(first);
});

test.each(["environment", "tenantId", "localAccountId", "username"] as const)(
  "an account with another %s is another, also where one that was known is changed",
  (field) => {
    const subjects = createSubjects(createUserPartitions("client"), placeOf);
    const account = accountOf() as { -readonly [K in keyof AccountRef]: string };
    subjects(account, authority, false);
    const value = field === "tenantId" ? OTHER_TENANT : "login.microsoftonline.us";
    expect(subjects(accountOf({ [field]: value }), authority, false).account[field]).toBe(value);
    account[field] = value;
    expect(subjects(account, authority, false).account[field]).toBe(value);
    expect(subjects(accountOf(), authority, false).account[field]).not.toBe(value);
  },
);

test("another authority, or one that the request names, is asked for by itself", () => {
  const subjects = createSubjects(createUserPartitions("client"), placeOf);
  expect(subjects(accountOf(), authority, false).account.tenantId).toBe(TENANT);
  expect(subjects(accountOf(), other, true).account.tenantId).toBe(OTHER_TENANT);
  expect(subjects(accountOf(), other, false).account.tenantId).toBe(TENANT);
});

test("no two users share anything, however many there are", () => {
  const subjects = createSubjects(createUserPartitions("client"), placeOf);
  for (const round of [1, 2]) {
    for (let user = 0; user < 12_000; user += 1) {
      const homeAccountId = `user-${user}.tenant`;
      const { account, partition } = subjects(accountOf({ homeAccountId }), authority, false);
      if (account.homeAccountId !== homeAccountId || partition.homeAccountId !== homeAccountId) {
        expect.fail(`in round ${round} ${homeAccountId} was taken for ${account.homeAccountId}`);
      }
    }
  }
});
