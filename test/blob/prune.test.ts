import { expect, test } from "vitest";
import { emptyBlob } from "../../src/blob/entities.ts";
import { lastExpiry, pruneBlob } from "../../src/blob/prune.ts";
import { NOW, accessToken, account, blobOf, deepFreeze, idToken, refreshToken } from "./fixtures.ts";

test("drops access tokens at their real expiry, not at MSAL's margin, and nothing else", () => {
  const alive = accessToken({ target: "a", expires_on: String(NOW + 1) });
  const dead = accessToken({ target: "b", expires_on: String(NOW) });
  const nonsense = accessToken({ target: "c", expires_on: "soon" });
  const rest = { accounts: [account()], idTokens: [idToken()], refreshTokens: [refreshToken()] };
  const blob = deepFreeze({ ...blobOf({ ...rest, accessTokens: [alive, dead, nonsense] }), extra: 1 });
  expect(pruneBlob(blob, NOW)).toEqual({ ...blobOf({ ...rest, accessTokens: [alive] }), extra: 1 });
});

test("returns the same object if nothing was dropped", () => {
  const blob = blobOf({ accessTokens: [accessToken()] });
  expect(pruneBlob(blob, NOW)).toBe(blob);
});

test("lastExpiry is that of the access token that lives longest", () => {
  const accessTokens = [5, 9, 7].map((end) => accessToken({ target: `s${end}`, expires_on: String(end) }));
  expect(lastExpiry(blobOf({ accessTokens }))).toBe(9);
  expect(lastExpiry({ ...emptyBlob(), RefreshToken: { k: refreshToken() } })).toBeUndefined();
});
