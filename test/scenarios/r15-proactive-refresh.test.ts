import { describe, expect, test } from "vitest";
import { dateRuntime } from "../support/date-runtime.ts";
import { MINUTE_MS, passTime, steerDates } from "../support/dates.ts";
import { settle } from "../support/settle.ts";
import { ADA as USER, READ, createWorld } from "../support/world.ts";
import { ADA, LASTING, playScenario, SIGN_IN_ONLY } from "./scenario.ts";

describe("with one clock", () => {
  steerDates();

  test("R15: a user's and the application's token past refresh-on are each renewed once for two caches over one store, and no caller waits for the provider", async () => {
    const world = createWorld({ lifetimes: { refreshInSeconds: 600 } });
    const runtime = dateRuntime();
    const nodes = [world.node({ runtime }), world.node({ runtime })];
    const { account } = await nodes[0]!.signIn(USER);
    const app = { scopes: ["api://notes/.default"] };
    const askAll = () =>
      Promise.all(
        nodes.flatMap(({ client }) => [
          client.acquireTokenSilent({ account: account!, scopes: READ }),
          client.acquireTokenByClientCredential(app),
        ]),
      );
    const old = await askAll();
    world.authority.reset();
    passTime(11 * MINUTE_MS);

    // The provider holds every answer back: whoever is answered now has waited for none.
    world.authority.pause();
    for (let round = 0; round < 20; round += 1) {
      const served = await askAll();
      expect(served.map((result) => result!.accessToken)).toEqual(old.map((result) => result!.accessToken));
      expect(new Set(served.map((result) => result!.metadata.cacheRefreshReason))).toEqual(
        new Set(["proactively-refreshed"]),
      );
    }
    await world.authority.whenHeld(2);
    // The other node comes now too, and finds that somebody is at it.
    await settle(50);
    world.authority.resume();
    const renewed = (result: { accessToken: string } | null, index: number): boolean =>
      result!.accessToken !== old[index]!.accessToken;
    // The other node sees it within the bound on staleness.
    await expect
      .poll(
        async () => {
          passTime(6_000);
          return (await askAll()).every(renewed);
        },
        { timeout: 10_000 },
      )
      .toBe(true);
    expect(world.authority.calls.map(({ grant }) => grant).toSorted()).toEqual([
      "client_credentials",
      "refresh_token",
    ]);
  });
});

test("R15: of three processes of a farm one renews ahead of time, and every page is answered from the cache", () =>
  playScenario(async ({ authority, webApp, browser }) => {
    const laptop = browser();
    const farm = [await webApp(), await webApp(), await webApp()];
    // Due before long. Whoever comes until then is served as well.
    authority.setLifetimes({ ...LASTING, refreshInSeconds: 1 });
    await laptop.signIn(farm[0]!.origin, ADA, SIGN_IN_ONLY);
    authority.setLifetimes({ ...LASTING, refreshInSeconds: 1_800 });
    const prints = new Map<string, string>();
    const visitAll = async (): Promise<void> => {
      for (const { origin } of farm) {
        const page = await laptop.get(`${origin}/me`);
        expect(page).toMatchObject({ status: 200, body: { source: "cache" } });
        prints.set(origin, (page.body as { fingerprint: string }).fingerprint);
      }
    };
    await visitAll();
    const [old] = prints.values();
    const isNewEverywhere = async (): Promise<boolean> => {
      await visitAll();
      return new Set(prints.values()).size === 1 && [...prints.values()][0] !== old;
    };
    await expect.poll(isNewEverywhere, { timeout: 60_000, interval: 100 }).toBe(true);
    return { authorize: 1, authorization_code: 1, refresh_token: 1 };
  }));
