import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { claimsChallenge } from "../../src/client/claims-challenge.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { ADA, READ, createWorld } from "../support/world.ts";

const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1735689600"}}}';
const encoded = Buffer.from(CLAIMS).toString("base64");

describe("the claims that an API demands", () => {
  test.each([
    [
      "as Microsoft Graph sends them",
      `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", claims="${encoded}"`,
    ],
    [
      "in another order and case, without padding",
      `bearer Claims="${encoded.replace(/=+$/, "")}",ERROR = "insufficient_claims"`,
    ],
    [
      "as JSON with escaped quotes",
      `Bearer error="insufficient_claims", claims="${CLAIMS.replaceAll('"', '\\"')}"`,
    ],
    ["as a token", `Bearer error=insufficient_claims, claims=${encoded.replace(/=+$/, "")}`],
    [
      "beside another scheme's challenge",
      `Basic realm="claims", Bearer error="insufficient_claims", claims="${encoded}"`,
    ],
  ])("are read %s", (_how, header) => {
    expect(claimsChallenge(header)).toBe(CLAIMS);
  });

  test.each([
    ["nothing", undefined],
    ["no header", null],
    ["an expired token", 'Bearer error="invalid_token", error_description="expired"'],
    ["claims with another error", `Bearer error="invalid_token", claims="${encoded}"`],
    ["claims that are none", 'Bearer error="insufficient_claims", claims="bm90IGpzb24="'],
    ["claims that are a list", 'Bearer error="insufficient_claims", claims="W10="'],
    ["another scheme", `PoP error="insufficient_claims", claims="${encoded}"`],
    ["parameters of two challenges", `Bearer error="insufficient_claims", PoP claims="${encoded}"`],
    ["more than anybody sends", `Bearer error="insufficient_claims", claims="${"e".repeat(20_000)}"`],
  ])("are none in %s", (_what, header) => {
    expect(claimsChallenge(header)).toBeUndefined();
  });

  test("of any header are a JSON object or undefined", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 200 }), (before, claims) => {
        const found = claimsChallenge(`${before}Bearer error="insufficient_claims", claims="${claims}"`);
        if (found !== undefined) expect(JSON.parse(found)).toBeTypeOf("object");
      }),
    );
  });
});

describe("claims that are no JSON object", () => {
  const world = createWorld();
  const web = world.node();
  const api = world.node({}, { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes) });

  test.each<[string, unknown]>([
    ["as they come in a header", encoded],
    ["a text", "nbf"],
    ["a list", "[]"],
    ["a number", "5"],
    ["null", "null"],
    ["not as text", JSON.parse(CLAIMS)],
  ])("are refused, and not answered with the token that the API has refused: %s", async (_what, given) => {
    const claims = given as string;
    const { account, accessToken: oboAssertion } = await web.signIn(ADA);
    const [app, tasks] = [["api://notes/.default"], ["api://tasks/read"]];
    await web.client.acquireTokenByClientCredential({ scopes: app });
    await api.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: tasks });
    for (const asked of [
      web.client.acquireTokenSilent({ account: account!, scopes: READ, claims }),
      web.client.acquireTokenByClientCredential({ scopes: app, claims }),
      api.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: tasks, claims }),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: "ERR_OPTION_INVALID", option: "claims" });
    }
  });

  test.each(["", "  ", "{}", undefined])("but none at all are none: %j", async (claims) => {
    const { account } = await web.signIn(ADA);
    const request = { account: account!, scopes: READ, ...(claims !== undefined && { claims }) };
    expect((await web.client.acquireTokenSilent(request)).fromCache).toBe(true);
  });
});
