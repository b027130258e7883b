/** A check that cannot fail proves nothing: what every scenario asserts, with the fault it must notice. */
import { describe, expect, test } from "vitest";
import { foreignRecords } from "./evidence.ts";
import { ADA, buildStage, playScenario, type Scenario } from "./scenario.ts";

const signIn = { authorize: 1, authorization_code: 1 };

async function signInOnce({ webApp, browser }: Scenario, settings = {}) {
  const app = await webApp(settings);
  expect(await browser().signIn(app.origin, ADA)).toMatchObject({ status: 200 });
  return app;
}

describe("a scenario fails", () => {
  test("where tokens lie in the store in clear", () =>
    expect(
      playScenario(async (scenario) => {
        await signInOnce(scenario, { unsealed: true });
        return signIn;
      }),
    ).rejects.toThrow("secrets in store and logs"));

  test("where a process prints a token", () =>
    expect(
      playScenario(async (scenario) => {
        const app = await signInOnce(scenario);
        await app.ask("say", [...scenario.authority.issued].at(-1));
        return signIn;
      }),
    ).rejects.toThrow("secrets in store and logs"));

  test("where the authority is called once more than expected", () =>
    expect(
      playScenario(async (scenario) => {
        await signInOnce(scenario);
        return { authorize: 1 };
      }),
    ).rejects.toThrow("calls to the authority"));

  test("where a process has an unhandled rejection", () =>
    expect(
      playScenario(async (scenario) => {
        const app = await signInOnce(scenario);
        await app.ask("reject").catch(() => undefined);
        return signIn;
      }),
    ).rejects.toThrow("processes that did not end in order"));
});

test("entries of another user in a record are found, and so is a record that is not authentic", async () => {
  const stage = await buildStage();
  try {
    await signInOnce(stage.scenario);
    const records = await stage.scenario.userRecords();
    expect(records).toHaveLength(1);
    expect(foreignRecords(records)).toEqual([]);
    const found = (change: object): number =>
      foreignRecords(records.map((lying) => ({ ...lying, ...change }))).length;
    expect(found({ owners: [...(records[0]?.owners ?? []), "somebody else"] })).toBe(1);
    expect(found({ owners: ["somebody else"] })).toBe(1);
    expect(found({ kind: "flow" })).toBe(1);
    expect(found({ record: { type: "refused" } })).toBe(1);
  } finally {
    await stage.clear();
  }
});
