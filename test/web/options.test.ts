import { ConfidentialClientApplication } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { createSignIn } from "../../src/web/sign-in.ts";
import { createWorld, READ, REDIRECT_URI, WEB } from "../support/world.ts";

const world = createWorld();
const { client } = world.node();
const redirectUri = REDIRECT_URI;

test.each<[string, unknown]>([
  ["options", undefined],
  ["client", { redirectUri }],
  ["client", { client: null, redirectUri }],
  ["client", { client: "client", redirectUri }],
  ["redirectUri", { client }],
  ["redirectUri", { client, redirectUri: "/redirect" }],
  ["redirectUri", { client, redirectUri: new URL(redirectUri) }],
  ["redirectUrl", { client, redirectUrl: redirectUri }],
  ["scope", { client, redirectUri, scope: READ }],
  ["scopes", { client, redirectUri, scopes: "User.Read" }],
  ["flowTtlMs", { client, redirectUri, flowTtlMs: "600000" }],
  ["flowTtlMs", { client, redirectUri, flowTtlMs: Number.POSITIVE_INFINITY }],
])("createSignIn names a wrong option: %s", (option, options) => {
  expect(() => createSignIn(options as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
  );
});

test("createSignIn says what it needs where it is given MSAL's own client", () => {
  const own = new ConfidentialClientApplication({ auth: world.authority.msalAuth("contoso", WEB) });
  expect(() => createSignIn({ client: own as never, redirectUri })).toThrow(/createConfidentialClient/);
});

describe("a sign-in", () => {
  const signIn = createSignIn({ client, redirectUri, scopes: READ });

  test.each<[string, unknown]>([
    ["request", null],
    ["request.returnto", { returnto: "/me" }],
    ["request.scopes", { scopes: "User.Read" }],
    ["request.prompt", { prompt: true }],
    ["request.loginHint", { loginHint: ["ada", "ben"] }],
    ["request.authority", { authority: 5 }],
  ])("names what it is begun with and cannot use: %s", async (option, request) => {
    await expect(signIn.beginSignIn(request as never)).rejects.toMatchObject({
      code: "ERR_OPTION_INVALID",
      option,
    });
  });

  test("that is completed without a request says so", async () => {
    await expect(signIn.completeSignIn(undefined as never)).rejects.toMatchObject({ option: "request" });
  });

  test("takes any place to return to: it comes from the browser", async () => {
    const begun = await signIn.beginSignIn({ returnTo: ["/a", "/b"] as never });
    expect(new URL(begun.url).protocol).toBe("https:");
  });
});
