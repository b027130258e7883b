import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withoutCollisions } from "../../src/blob/collisions.ts";
import { parseBlob, serializeBlob, type AccountEntity, type CacheBlob } from "../../src/blob/entities.ts";
import { environmentAliases } from "../../src/blob/environments.ts";
import { accountKey, credentialKey } from "../../src/blob/keys.ts";
import { findAccessToken } from "../../src/blob/lookup.ts";
import { mergeBlobs, type MergeInput, type Removal } from "../../src/blob/merge.ts";
import { fingerprint, type Provenance } from "../../src/blob/provenance.ts";
import { displaces } from "../../src/blob/scopes.ts";
import {
  CLIENT,
  ENVIRONMENT,
  NOW,
  arbitraryAccessToken,
  arbitraryAccount,
  arbitraryBlob,
  arbitraryIdToken,
  arbitraryRefreshToken,
  deepFreeze,
  saveAccessToken,
} from "./fixtures.ts";

const runs = { numRuns: 500 };

type Save = (blob: CacheBlob) => CacheBlob;

/** MSAL adds tenant profiles to those that are there, and takes none away. */
function united(before: AccountEntity | undefined, now: AccountEntity): AccountEntity {
  const tenantOf = (profile: string): unknown => (JSON.parse(profile) as { tenantId: unknown }).tenantId;
  const all = [...(before?.tenantProfiles ?? []), ...(now.tenantProfiles ?? [])];
  const profiles = new Map(all.map((profile) => [tenantOf(profile), profile]));
  return { ...before, ...now, ...(profiles.size > 0 ? { tenantProfiles: [...profiles.values()] } : {}) };
}

/** One thing that MSAL does to its memory. */
const arbitrarySave: fc.Arbitrary<Save> = fc.oneof(
  arbitraryAccessToken.map(
    (token): Save =>
      (blob) =>
        saveAccessToken(blob, token),
  ),
  arbitraryRefreshToken.map((token): Save => (blob) => ({
    ...blob,
    RefreshToken: { ...blob.RefreshToken, [credentialKey(token)]: token },
  })),
  arbitraryIdToken.map((token): Save => (blob) => ({
    ...blob,
    IdToken: { ...blob.IdToken, [credentialKey(token)]: token },
  })),
  arbitraryAccount.map((one): Save => (blob) => ({
    ...blob,
    Account: { ...blob.Account, [accountKey(one)]: united(blob.Account[accountKey(one)], one) },
  })),
);
const arbitraryWork = fc.array(arbitrarySave, { maxLength: 5 });
const doing = (blob: CacheBlob, work: readonly Save[]): CacheBlob =>
  work.reduce((now, save) => save(now), blob);

/** Numbers to build origins from; the tokens they belong to are only known later. */
const arbitraryGrades = fc.array(fc.record({ grant: fc.nat(3), generation: fc.nat(2) }), { minLength: 1 });

function graded(blob: CacheBlob, grades: readonly { grant: number; generation: number }[]): Provenance {
  const secrets = Object.values(blob.RefreshToken).map((token) => token.secret);
  return Object.fromEntries(
    secrets.flatMap((secret, index) => {
      const grade = grades[index % grades.length];
      // Some tokens have no entry, as after an import.
      return grade === undefined || grade.grant === 3 ? [] : [[fingerprint(secret), grade]];
    }),
  );
}

function arbitraryRemovals(blob: CacheBlob): fc.Arbitrary<Removal[]> {
  const all = (["Account", "AccessToken", "RefreshToken"] as const).flatMap((section) =>
    Object.keys(blob[section]).map((key): Removal => ({ section, key })),
  );
  return fc.subarray(all, { maxLength: Math.min(2, all.length) });
}

/** Two nodes that worked on one blob. */
const arbitraryHistory: fc.Arbitrary<MergeInput> = fc
  .tuple(
    arbitraryBlob.map(withoutCollisions),
    arbitraryWork,
    arbitraryWork,
    arbitraryGrades,
    arbitraryGrades,
    fc.boolean(),
  )
  .map(([base, work, theirWork, myGrades, theirGrades, strengthens]) => {
    const [mine, theirs] = [doing(base, work), doing(base, theirWork)];
    const provenance = { mine: graded(mine, myGrades), theirs: graded(theirs, theirGrades) };
    return deepFreeze({ base, mine, theirs, provenance, strengthens });
  })
  .chain((input) => arbitraryRemovals(input.base).map((removals) => ({ ...input, removals })));

/** Three blobs that need not have anything to do with each other. */
const arbitraryMess: fc.Arbitrary<MergeInput> = fc
  .tuple(arbitraryBlob, arbitraryBlob, arbitraryBlob, arbitraryGrades, arbitraryGrades, fc.boolean())
  .map(([base, mine, theirs, myGrades, theirGrades, strengthens]) => {
    const provenance = { mine: graded(mine, myGrades), theirs: graded(theirs, theirGrades) };
    return deepFreeze({ base, mine, theirs, provenance, strengthens });
  })
  .chain((input) => arbitraryRemovals(input.theirs).map((removals) => ({ ...input, removals })));

const arbitraryInput = fc.oneof(arbitraryHistory, arbitraryMess);

const mutual = (a: string, b: string): boolean => displaces(a, b) && displaces(b, a);
type Token = CacheBlob["AccessToken"][string];
const sameOwner = (a: Token, b: Token): boolean =>
  a.home_account_id === b.home_account_id && a.realm.toLowerCase() === b.realm.toLowerCase();
const tokens = (blob: CacheBlob): Token[] => Object.values(blob.AccessToken);
const holds = (blob: CacheBlob, token: Token): boolean =>
  tokens(blob).some(
    (other) => other.secret === token.secret && other.target === token.target && sameOwner(other, token),
  );

describe("mergeBlobs, whatever it is given", () => {
  test("never changes its arguments", () => {
    // deepFreeze makes any attempt throw.
    fc.assert(
      fc.property(arbitraryInput, (input) => void mergeBlobs(deepFreeze(input))),
      runs,
    );
  });

  test("gives a blob that MSAL can load", () => {
    fc.assert(
      fc.property(arbitraryInput, (input) => {
        const { blob } = mergeBlobs(input);
        expect(parseBlob(serializeBlob(blob))).toEqual(blob);
      }),
      runs,
    );
  });

  test("gives the same again when the same change is merged into the result", () => {
    fc.assert(
      fc.property(arbitraryInput, (input) => {
        const once = mergeBlobs(input);
        const again = mergeBlobs({
          ...input,
          theirs: once.blob,
          provenance: { mine: input.provenance.mine, theirs: once.provenance },
        });
        expect(again).toEqual(once);
      }),
      runs,
    );
  });

  test("never leaves two access tokens that one search for a resource finds", () => {
    fc.assert(
      fc.property(arbitraryInput, (input) => {
        const result = mergeBlobs(input).blob;
        for (const [index, a] of tokens(result).entries()) {
          for (const b of tokens(result).slice(index + 1)) {
            expect(sameOwner(a, b) && mutual(a.target, b.target)).toBe(false);
          }
          const scopes = a.target
            .split(" ")
            .filter((scope) => /read|default/i.test(scope))
            .slice(0, 1);
          if (scopes.length === 0) continue;
          const query = { homeAccountId: a.home_account_id, realm: a.realm, scopes, clientId: CLIENT };
          const times = { nowSeconds: NOW, renewalOffsetSeconds: 300 };
          const found = findAccessToken(result, {
            ...query,
            ...times,
            environments: environmentAliases(ENVIRONMENT),
          });
          expect(found).not.toMatchObject({ reason: "ambiguous" });
        }
      }),
      runs,
    );
  });

  test("knows the origin of those refresh tokens it holds, and of no others", () => {
    fc.assert(
      fc.property(arbitraryInput, (input) => {
        const { blob, provenance } = mergeBlobs(input);
        const held = new Set(Object.values(blob.RefreshToken).map((token) => fingerprint(token.secret)));
        for (const name of Object.keys(provenance)) expect(held.has(name)).toBe(true);
        for (const name of held) {
          const isKnown = name in input.provenance.mine || name in input.provenance.theirs;
          expect(name in provenance).toBe(isKnown);
        }
      }),
      runs,
    );
  });
});

describe("mergeBlobs, after two nodes worked on one blob", () => {
  test("with nobody else there the result is what mine did; older access tokens that none of mine displaces stay", () => {
    fc.assert(
      fc.property(arbitraryHistory, ({ removals: _none, ...input }) => {
        const { AccessToken: kept, ...rest } = mergeBlobs({ ...input, theirs: input.base }).blob;
        const { AccessToken: saved, ...mine } = input.mine;
        expect(rest).toEqual(mine);
        for (const [key, token] of Object.entries(saved)) expect(kept[key]).toMatchObject(token);
        for (const [key, token] of Object.entries(kept)) {
          if (key in saved) continue;
          expect(input.base.AccessToken[key]).toEqual(token);
          const news = tokens(input.mine).filter((other) => !holds(input.base, other));
          expect(news.some((other) => sameOwner(other, token) && displaces(other.target, token.target))).toBe(
            false,
          );
        }
      }),
      runs,
    );
  });

  test("with nothing done by mine the result is theirs", () => {
    fc.assert(
      fc.property(arbitraryHistory, ({ removals: _none, ...input }) => {
        expect(mergeBlobs({ ...input, mine: input.base }).blob).toEqual(input.theirs);
      }),
      runs,
    );
  });

  test("an access token of theirs goes only if declared, or for one of mine that displaces it", () => {
    fc.assert(
      fc.property(arbitraryHistory, (input) => {
        const result = mergeBlobs(input).blob;
        for (const [key, token] of Object.entries(input.theirs.AccessToken)) {
          if (holds(result, token) || input.removals?.some((removal) => removal.key === key)) continue;
          const winners = tokens(result).filter((other) => !holds(input.theirs, other));
          expect(
            winners.some((other) => sameOwner(other, token) && displaces(other.target, token.target)),
          ).toBe(true);
        }
      }),
      runs,
    );
  });

  test("an access token that mine saved goes only for a colliding one that theirs saved meanwhile", () => {
    fc.assert(
      fc.property(arbitraryHistory, (input) => {
        const result = mergeBlobs(input).blob;
        for (const token of tokens(input.mine)) {
          if (holds(result, token) || holds(input.base, token)) continue;
          const winners = tokens(input.theirs).filter(
            (other) => holds(result, other) && !holds(input.base, other),
          );
          expect(winners.some((other) => sameOwner(other, token) && mutual(other.target, token.target))).toBe(
            true,
          );
        }
      }),
      runs,
    );
  });

  test.each(["RefreshToken", "IdToken", "Account"] as const)(
    "no %s of either side is lost unless declared",
    (section) => {
      fc.assert(
        fc.property(arbitraryHistory, (input) => {
          const result = mergeBlobs(input).blob;
          for (const key of [...Object.keys(input.theirs[section]), ...Object.keys(input.mine[section])]) {
            const isDeclared = input.removals?.some(
              (removal) => removal.section === section && removal.key === key,
            );
            if (!isDeclared) expect(result[section]).toHaveProperty([key]);
          }
        }),
        runs,
      );
    },
  );

  test("a refresh token that only one side replaced is that side's", () => {
    fc.assert(
      fc.property(arbitraryHistory, (input) => {
        const secret = (blob: CacheBlob, key: string) => blob.RefreshToken[key]?.secret;
        const result = mergeBlobs({ ...input, removals: [] }).blob;
        for (const key of Object.keys(result.RefreshToken)) {
          const [base, mine, theirs] = [input.base, input.mine, input.theirs].map((blob) =>
            secret(blob, key),
          );
          if (mine === base) expect(secret(result, key)).toBe(theirs);
          else if (theirs === base) expect(secret(result, key)).toBe(mine);
          else expect([mine, theirs]).toContain(secret(result, key));
        }
      }),
      runs,
    );
  });

  test("merging in either order keeps the same refresh tokens and of both sides' new access tokens the same", () => {
    fc.assert(
      fc.property(arbitraryHistory, ({ base, mine, theirs }) => {
        const ties = tokens(mine).some((a) =>
          tokens(theirs).some((b) => a.expires_on === b.expires_on && a.secret !== b.secret),
        );
        // Only between equal expiries the side decides, and with it the order.
        fc.pre(!ties);
        const provenance = { mine: {}, theirs: {} };
        const there = mergeBlobs({ base, mine, theirs, provenance }).blob;
        const back = mergeBlobs({ base, mine: theirs, theirs: mine, provenance }).blob;
        const news = (blob: CacheBlob) =>
          new Set(
            tokens(blob)
              .filter((token) => !holds(base, token))
              .map((token) => `${token.secret} ${token.target}`),
          );
        expect(news(back)).toEqual(news(there));
        expect(Object.keys(back.RefreshToken).toSorted()).toEqual(Object.keys(there.RefreshToken).toSorted());
      }),
      runs,
    );
  });

  test("no section and no field that MSAL does not know is lost", () => {
    fc.assert(
      fc.property(arbitraryHistory, fc.string(), (history, value) => {
        const input = {
          ...history,
          removals: [],
          mine: { ...history.mine, "x-mine": { value } },
          theirs: { ...history.theirs, "x-theirs": [value] },
        };
        const result = mergeBlobs(input).blob;
        expect(result["x-mine"]).toEqual({ value });
        expect(result["x-theirs"]).toEqual([value]);
        for (const section of Object.keys(input.theirs)) expect(result).toHaveProperty([section]);
        for (const [key, one] of Object.entries(input.theirs.Account)) {
          if (one["x_custom"] !== undefined) expect(result.Account[key]?.["x_custom"]).toBeDefined();
        }
      }),
      runs,
    );
  });
});
