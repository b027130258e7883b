import { describe, expect, test } from "vitest";
import { classifyFailure, type FailureOutcome } from "../../src/activity/outcome.ts";
import { afterFailure, afterSignIn, afterSuccess, newRow } from "../../src/activity/row.ts";
import { TokenkeepError } from "../../src/errors.ts";

const REF = {
  homeAccountId: "h.t",
  environment: "e",
  tenantId: "t",
  localAccountId: "l",
  username: "ada",
};
const fresh = newRow("ns:key", "client", REF, 1_000);
const signedIn = afterSignIn(fresh, REF, "rt-1", 2_000);
const outcome = (status: FailureOutcome["status"]): FailureOutcome => ({
  status,
  code: "invalid_grant",
  subError: "sub",
  claims: "{}",
  correlationId: "c",
});
const spoken = { used: "rt-1", now: undefined };

describe("a row", () => {
  test("is unconfirmed until the sign-in has been stored", () => {
    expect(fresh).toMatchObject({
      confirmed: false,
      status: "ok",
      createdAt: 1_000,
      lastSignInAt: undefined,
    });
    expect(signedIn).toMatchObject({
      confirmed: true,
      createdAt: 1_000,
      lastSignInAt: 2_000,
      lastActivityAt: 2_000,
    });
  });

  test("of a web app moves the user's activity, of a worker only the worker's", () => {
    const move = { used: "rt-1", now: "rt-2", refreshed: true };
    expect(afterSuccess(signedIn, "web", move, 5_000)).toMatchObject({
      lastActivityAt: 5_000,
      lastRefreshAt: 5_000,
      lastWorkerRunAt: undefined,
    });
    expect(afterSuccess(signedIn, "worker", move, 5_000)).toMatchObject({
      lastActivityAt: 2_000,
      lastRefreshAt: 5_000,
      lastWorkerRunAt: 5_000,
    });
    expect(afterFailure(signedIn, "worker", outcome("retry-later"), spoken, 5_000)).toMatchObject({
      lastActivityAt: 2_000,
      lastWorkerRunAt: 5_000,
    });
  });

  test("that was served from the store is no renewal", () => {
    const served = afterSuccess(
      signedIn,
      "web",
      { used: undefined, now: undefined, refreshed: false },
      5_000,
    );
    expect(served).toMatchObject({ lastRefreshAt: undefined, credentialFingerprint: "rt-1" });
  });

  test("counts failures in a row, and a success ends them", () => {
    const once = afterFailure(signedIn, "web", outcome("retry-later"), spoken, 10_000)!;
    const twice = afterFailure(once, "web", outcome("retry-later"), spoken, 20_000)!;
    expect([once.failedAttempts, twice.failedAttempts]).toEqual([1, 2]);
    const well = afterSuccess(twice, "web", { used: "rt-1", now: "rt-2", refreshed: true }, 30_000);
    expect(well).toMatchObject({
      status: "ok",
      failedAttempts: 0,
      nextAttemptAt: undefined,
      failureCode: undefined,
    });
    expect(well.credentialFingerprint).toBe("rt-2");
  });

  test("says when to try again, later each time and never later than an hour", () => {
    let row = signedIn;
    const pauses: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      row = afterFailure(row, "web", outcome("retry-later"), spoken, 10_000)!;
      pauses.push(row.nextAttemptAt! - 10_000);
    }
    expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
    expect(pauses[0]).toBeLessThan(pauses[1]!);
    expect(pauses.at(-1)).toBe(3_600_000);
  });

  test("says no time where only the user can help", () => {
    const row = afterFailure(signedIn, "web", outcome("needs-interaction"), spoken, 10_000)!;
    expect(row).toMatchObject({ status: "needs-interaction", nextAttemptAt: undefined, failureClaims: "{}" });
  });

  test("ignores the failure, and the success, of a credential that it has moved on from", () => {
    const moved = afterSignIn(signedIn, REF, "rt-new", 9_000);
    expect(afterFailure(moved, "web", outcome("needs-interaction"), spoken, 10_000)).toBeUndefined();
    const benched = afterFailure(
      moved,
      "web",
      outcome("needs-interaction"),
      { used: "rt-new", now: undefined },
      10_000,
    )!;
    const late = afterSuccess(benched, "web", { used: "rt-1", now: "rt-2", refreshed: true }, 11_000);
    expect(late).toMatchObject({ status: "needs-interaction", credentialFingerprint: "rt-new" });
  });

  test("is well again after a sign-in, whatever it was", () => {
    const benched = afterFailure(signedIn, "web", outcome("consent-required"), spoken, 10_000)!;
    expect(afterSignIn(benched, REF, "rt-2", 11_000)).toMatchObject({
      status: "ok",
      failureCode: undefined,
      failedAttempts: 0,
      failedAt: undefined,
    });
  });
});

describe("an error", () => {
  test.each<[string, unknown, string | undefined]>([
    ["a dead refresh token", { errorCode: "invalid_grant" }, "needs-interaction"],
    [
      "MSAL's own demand for interaction",
      { name: "InteractionRequiredAuthError", errorCode: "x" },
      "needs-interaction",
    ],
    [
      "missing consent by sub error",
      { errorCode: "invalid_grant", subError: "consent_required" },
      "consent-required",
    ],
    ["missing consent by number", { errorCode: "invalid_grant", errorNo: "65001" }, "consent-required"],
    ["throttling", { errorCode: "x", status: 429 }, "retry-later"],
    ["an outage", { errorCode: "x", status: 503 }, "retry-later"],
    ["the network", { errorCode: "network_error" }, "retry-later"],
    ["a wrong client secret", { errorCode: "invalid_client", status: 401 }, undefined],
    [
      "a store that is down",
      new TokenkeepError("ERR_STORE_UNAVAILABLE", "x", { retryable: true }),
      undefined,
    ],
    ["an error of our own", new TokenkeepError("ERR_PARTITION_MISMATCH", "x"), undefined],
    ["a bug", new TypeError("x"), undefined],
    ["nothing", undefined, undefined],
  ])("%s means %o to the account", (_name, error, status) => {
    expect(classifyFailure(error)?.status).toBe(status);
  });
});
