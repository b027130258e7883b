import { expect, test } from "vitest";
import { ADA, NOTES, playScenario, TASKS } from "./scenario.ts";

test("R4: a page that needs a scope without consent sends its visitor to consent once and comes back to where it was; a script gets a 401; what was consented to before still answers from the cache", () =>
  playScenario(async ({ authority, webApp, browser }) => {
    const ada = browser();
    const app = await webApp();
    await ada.signIn(app.origin, ADA);
    const first = await ada.get(`${app.origin}/me`);
    authority.requireConsent(ADA, TASKS);

    const page = `${app.origin}/page?scopes=${encodeURIComponent(TASKS)}`;
    for (let i = 0; i < 3; i += 1) {
      expect(await ada.get(page)).toMatchObject({ status: 401, body: { code: "invalid_grant" } });
    }
    expect(authority.count({ grant: "refresh_token" })).toBe(1);

    const back = await ada.signIn(app.origin, ADA, page.slice(app.origin.length));
    // On the way there was the authority's page, asked for both scopes and with the name filled in.
    const query = new URL(back.picker!).searchParams;
    expect(query.get("scope")!.split(" ")).toEqual(expect.arrayContaining([NOTES, TASKS, "offline_access"]));
    expect(query.get("login_hint")).toBe(ADA);
    expect(back.url).toBe(page);
    expect(back).toMatchObject({ status: 200, body: { user: ADA, tokenUser: ADA, scopes: [TASKS] } });
    const again = await ada.get(page);
    expect(again).toMatchObject({ status: 200, body: { source: "cache", level: "L1" } });

    const notes = await ada.get(`${app.origin}/me`);
    expect(notes).toMatchObject({ status: 200, body: { source: "cache", scopes: [NOTES] } });
    expect(first).toMatchObject({ status: 200 });
    // One refusal; one token after the consent.
    expect(authority.calls.filter(({ grant }) => grant === "refresh_token")).toMatchObject([
      { outcome: "invalid_grant", errorNumber: 65001 },
      { outcome: "ok", scopes: expect.arrayContaining([TASKS]) as string[] },
    ]);
    return { authorize: 2, authorization_code: 2, refresh_token: 2 };
  }));
