import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  appSearchScopes,
  displaces,
  searchScopes,
  targetContains,
  userSearchScopes,
} from "../../src/blob/scopes.ts";
import { arbitraryScope, arbitraryTarget } from "./fixtures.ts";
import { msalScopeSet } from "./msal.ts";

const ScopeSet = msalScopeSet();
const runs = { numRuns: 2000 };
const arbitrarySpelling = fc.oneof(
  arbitraryScope,
  fc.constantFrom(" user.read ", "", "a b", "OFFLINE_ACCESS", "Email"),
);

describe("scope rules are MSAL's", () => {
  test("searchScopes", () => {
    fc.assert(
      fc.property(fc.array(arbitrarySpelling, { maxLength: 5 }), (scopes) => {
        let expected: string[] = [];
        try {
          expected = ScopeSet.createSearchScopes(scopes, "").asArray();
        } catch {
          // MSAL refuses a request of blanks only; for us that is a search for nothing.
        }
        expect(searchScopes(scopes)).toEqual(expected);
      }),
      runs,
    );
  });

  test("targetContains", () => {
    fc.assert(
      fc.property(
        arbitraryTarget,
        fc.array(arbitraryScope, { minLength: 1, maxLength: 4 }),
        (target, scopes) => {
          const wanted = ScopeSet.createSearchScopes(scopes, "");
          expect(targetContains(target, wanted.asArray())).toBe(
            ScopeSet.fromString(target, "").containsScopeSet(wanted),
          );
        },
      ),
      runs,
    );
    expect(targetContains("user.read", [])).toBe(false);
  });

  test("displaces", () => {
    fc.assert(
      fc.property(arbitraryTarget, arbitraryTarget, (saved, older) => {
        const expected = ScopeSet.fromString(older, "").intersectingScopeSets(ScopeSet.fromString(saved, ""));
        expect(displaces(saved, older)).toBe(expected);
      }),
      runs,
    );
  });
});

test("OpenID Connect scopes displace only when there are no others", () => {
  expect(displaces("openid profile", "user.read openid")).toBe(true);
  expect(displaces("user.read openid", "openid profile")).toBe(false);
  expect(displaces("user.read openid", "mail.read openid")).toBe(false);
  expect(displaces("User.Read", "user.read mail.read")).toBe(true);
});

test("a user's request searches with the defaults that MSAL adds, an application's without", () => {
  expect(userSearchScopes(["email"])).toEqual(["email", "openid", "profile"]);
  expect(userSearchScopes([])).toEqual(["openid", "profile"]);
  expect(userSearchScopes(["user.read"])).toEqual(["user.read"]);
  expect(appSearchScopes(["api://x/.default", "openid"])).toEqual(["api://x/.default"]);
  expect(appSearchScopes(["openid"])).toEqual([]);
});
