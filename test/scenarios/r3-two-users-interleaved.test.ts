import { expect, test } from "vitest";
import { ADA, CLEO, MAIL, NOTES, playScenario, TASKS } from "./scenario.ts";

const REQUESTS_PER_USER = 100;
const NEW_SIGN_INS_PER_USER = 5;

test("R3: two users interleaved on one server, 200 mixed requests at once: each gets their own tokens, each partition holds one home account id", () =>
  playScenario(async ({ authority, webApp, browser, userRecords }) => {
    const app = await webApp();
    const users = [ADA, CLEO].map((user) => ({ user, device: browser() }));
    for (const { user, device } of users) await device.signIn(app.origin, user);

    // Two browsers of each user come back from the authority in the middle of it all.
    const arrivals = await Promise.all(
      users.flatMap(({ user }) =>
        Array.from({ length: NEW_SIGN_INS_PER_USER }, async () => {
          const device = browser();
          return { user, device, url: await device.signInUpToRedirect(app.origin, user) };
        }),
      ),
    );
    const kinds = [NOTES, TASKS, MAIL];
    const requests = Array.from({ length: REQUESTS_PER_USER }, (_, index) =>
      users.map(({ user, device }) => ({
        user,
        device,
        url: `${app.origin}/me?scopes=${kinds[index % kinds.length]}`,
      })),
    ).flat();
    const middle = requests.length / 2;
    const mixed = [...requests.slice(0, middle), ...arrivals, ...requests.slice(middle)];

    authority.pause();
    const answers = Promise.all(
      mixed.map(async ({ user, device, url }) => ({ user, page: await device.get(url) })),
    );
    // One refresh for each user and each of the two resources nobody has a token for, and all the codes.
    await authority.whenHeld(4 + arrivals.length);
    authority.resume();
    for (const { user, page } of await answers) {
      expect(page).toMatchObject({ status: 200, body: { user, tokenUser: user } });
    }

    const records = await userRecords();
    expect(records.map(({ owners }) => owners.join(" ")).toSorted()).toEqual(
      [authority.homeAccountId(ADA), authority.homeAccountId(CLEO)].toSorted(),
    );
    expect(authority.count({ user: ADA, grant: "refresh_token" })).toBe(2);
    expect(authority.count({ user: CLEO, grant: "refresh_token" })).toBe(2);
    const signIns = 2 + arrivals.length;
    return { authorize: signIns, authorization_code: signIns, refresh_token: 4 };
  }));

test("R3: two users who each acquire several tokens at once, in two processes, keep all of theirs", () =>
  playScenario(async ({ authority, webApp, browser, userRecords }) => {
    const apps = [await webApp(), await webApp()] as const;
    const users = [ADA, CLEO].map((user) => ({ user, device: browser() }));
    for (const { user, device } of users) await device.signIn(apps[0].origin, user);
    const scopes = [NOTES, TASKS, MAIL, "Calendars.Read", "Files.Read", "api://notes/write"];
    // Each scope is asked for in one process only: else one of them would wait for the other's answer.
    const requests = scopes.flatMap((scope, index) =>
      users.map((who) => ({
        ...who,
        scope,
        url: `${apps[index % 2 === 0 ? 0 : 1].origin}/me?force=yes&scopes=${scope}`,
      })),
    );
    authority.pause();
    const answers = Promise.all(
      requests.map(async ({ user, device, scope, url }) => ({ user, scope, page: await device.get(url) })),
    );
    await authority.whenHeld(requests.length);
    authority.resume();
    for (const { user, scope, page } of await answers) {
      expect(page).toMatchObject({
        status: 200,
        body: { user, tokenUser: user, scopes: expect.arrayContaining([scope]) as unknown, saved: true },
      });
    }

    // All that was acquired is there: nothing was lost between the writers.
    const fresh = await webApp();
    for (const { user, device, scope } of requests) {
      expect(await device.get(`${fresh.origin}/me?scopes=${scope}`)).toMatchObject({
        body: { user, tokenUser: user, source: "cache" },
      });
    }
    expect((await userRecords()).every(({ owners }) => owners.length === 1)).toBe(true);
    return { authorize: 2, authorization_code: 2, refresh_token: requests.length };
  }));
