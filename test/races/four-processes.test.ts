/** Four real processes add tokens to one user's partition at the same time. */
import { afterEach, expect, test } from "vitest";
import { apis, scopeOf, storedFor } from "../hazards/setting.ts";
import { ADA } from "../support/world.ts";
import { fingerprintOf, openSite, type Site } from "./members.ts";

const PROCESSES = 4;
const EACH = 25;
const ALL = PROCESSES * EACH;

let site: Site;
afterEach(() => site.close());

test.for(["each", "together"] as const)(
  `${PROCESSES} processes add ${EACH} resources (%s): ${ALL} of ${ALL} are stored, as was said, and nothing waits`,
  async (how) => {
    site = await openSite({ resources: apis(ALL + 1) });
    const account = await site.signIn(ADA, scopeOf(ALL));
    const members = await Promise.all(Array.from({ length: PROCESSES }, () => site.member()));
    const runs = await Promise.all(
      members.map((member, index) => {
        const scopes = Array.from({ length: EACH }, (_, step) => scopeOf(index * EACH + step));
        return member.run({ how, account, scopes });
      }),
    );
    expect(runs.map(({ waiting }) => waiting)).toEqual([0, 0, 0, 0]);
    const reports = runs.flatMap((run) => run.reports);
    expect(reports.filter(({ outcome, saved }) => outcome === "ok" && saved)).toHaveLength(ALL);
    const node = site.node();
    const blob = await storedFor({ authority: site.authority, node: () => node }, ADA);
    const stored = new Set(Object.values(blob!.AccessToken).map(({ secret }) => fingerprintOf(secret)));
    expect(stored.size).toBe(ALL + 1);
    expect(reports.filter(({ fingerprint }) => !stored.has(fingerprint!))).toEqual([]);
    expect(site.authority.count({ grant: "refresh_token" })).toBe(ALL);
  },
);
