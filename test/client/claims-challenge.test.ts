import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { claimsChallenge } from "../../src/client/claims-challenge.ts";

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
