/** A web app and a worker, two real processes, need a token for the same user at the same moment. */
import { afterEach, expect, test } from "vitest";
import { HOUR_MS } from "../support/dates.ts";
import { ADA, READ, steeredRuntime } from "../support/world.ts";
import type { Report, Task } from "./children/protocol.ts";
import { openSite, type Member, type Site } from "./members.ts";

const RACES = 50;
/** Longer than a token lives: within its last five minutes whoever waits is served the old one. */
const PAUSE_MS = 2 * HOUR_MS;

let site: Site;
afterEach(() => site.close());

test(`${RACES} races with one-time refresh tokens: one refresh each, and nobody is refused`, async () => {
  const runtime = steeredRuntime();
  site = await openSite({ refreshTokens: "one-time", runtime });
  const task: Task = { how: "together", account: await site.signIn(ADA, READ), scopes: [READ] };
  const members = await Promise.all([site.member({ role: "web" }), site.member({ role: "worker" })]);
  for (let race = 1; race <= RACES; race += 1) {
    // Everybody's clock: the token that the last race brought has expired.
    runtime.advance(PAUSE_MS);
    await Promise.all(members.map((member) => member.pass(PAUSE_MS)));
    // Every other race goes as it goes; in the rest the provider answers when both are on their way.
    const reports = await (race % 2 === 0 ? heldBack(members, task) : freely(members, task));
    expect(summary(reports), `race ${race}`).toEqual({
      refreshes: race,
      outcomes: ["ok", "ok"],
      renewedBy: 1,
      saved: [true, true],
      tokens: 1,
    });
  }
  expect(site.authority.count({ outcome: "invalid_grant" })).toBe(0);
});

async function freely(members: readonly Member[], task: Task): Promise<Report[]> {
  const runs = await Promise.all(members.map((member) => member.run(task)));
  return runs.flatMap(({ reports }) => reports);
}

async function heldBack(members: readonly Member[], task: Task): Promise<Report[]> {
  site.authority.pause();
  const started = Promise.all(members.map((member) => member.started()));
  const ended = freely(members, task);
  await Promise.all([site.authority.whenHeld(1), started]);
  site.authority.resume();
  return ended;
}

function summary(reports: readonly Report[]) {
  return {
    refreshes: site.authority.count({ grant: "refresh_token" }),
    outcomes: reports.map(({ outcome }) => outcome),
    renewedBy: reports.filter(({ source }) => source === "identity-provider").length,
    saved: reports.map(({ saved }) => saved),
    tokens: new Set(reports.map(({ fingerprint }) => fingerprint)).size,
  };
}
