/** Device codes waiting for somebody to type them in (RFC 8628). */
import type { Runtime } from "../../runtime.ts";
import { OAuthError } from "./oauth-error.ts";
import type { Policy } from "./policy.ts";

/** A device that wants a user to sign in elsewhere. */
export interface DeviceCode {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly clientId: string;
  readonly segment: string;
  readonly scopes: readonly string[];
  readonly claims: string | undefined;
}

/** Device codes by both of their names. */
export interface DeviceCodes {
  issue(from: Pick<DeviceCode, "clientId" | "segment" | "scopes" | "claims">): DeviceCode;
  byUserCode(userCode: string): DeviceCode | undefined;
  byDeviceCode(deviceCode: string): DeviceCode | undefined;
  /** The user said yes (`username`) or no (undefined). False if nobody waits for that code. */
  decide(userCode: string, username: string | undefined): boolean;
  /** Who approved it; throws `authorization_pending` and the like (RFC 8628 section 3.5). */
  poll(deviceCode: string, clientId: string): { readonly code: DeviceCode; readonly username: string };
  /** The tokens are out; the code is spent. */
  close(deviceCode: string): void;
}

interface DeviceRecord {
  readonly code: DeviceCode;
  readonly expiresAt: number;
  decision: { readonly username: string | undefined } | undefined;
}

// Without letters and digits that look alike, and without vowels (RFC 8628 section 6.1).
const ALPHABET = "BCDFGHJKLMNPQRSTVWXZ";

/** None waiting. */
export function createDeviceCodes(runtime: Runtime, policy: Policy): DeviceCodes {
  const records = new Map<string, DeviceRecord>();
  const byUserCode = (userCode: string): DeviceRecord | undefined => {
    const wanted = userCode.toUpperCase().replaceAll(/[^A-Z]/g, "");
    return [...records.values()].find(
      (record) => record.code.userCode === wanted && record.expiresAt > runtime.now(),
    );
  };
  return {
    issue(from) {
      const now = runtime.now();
      for (const [key, record] of records) if (record.expiresAt <= now) records.delete(key);
      const userCode = [...runtime.randomBytes(9)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
      const deviceCode = `1.D${Buffer.from(runtime.randomBytes(96)).toString("base64url")}`;
      const code = { ...from, deviceCode, userCode };
      const expiresAt = now + policy.lifetimes.deviceCodeSeconds * 1000;
      records.set(deviceCode, { code, expiresAt, decision: undefined });
      return code;
    },
    byUserCode: (userCode) => byUserCode(userCode)?.code,
    byDeviceCode: (deviceCode) => records.get(deviceCode)?.code,
    decide(userCode, username) {
      const record = byUserCode(userCode);
      if (record === undefined || record.decision !== undefined) return false;
      record.decision = { username };
      return true;
    },
    poll(deviceCode, clientId) {
      const record = records.get(deviceCode);
      if (record === undefined || record.code.clientId !== clientId) {
        throw new OAuthError("bad_verification_code", 70000, "The device code is not valid.");
      }
      if (record.expiresAt <= runtime.now()) {
        throw new OAuthError("expired_token", 70020, "The device code has expired.");
      }
      if (record.decision === undefined) {
        throw new OAuthError("authorization_pending", 70016, "The user has not signed in yet.");
      }
      if (record.decision.username === undefined) {
        throw new OAuthError("authorization_declined", 70017, "The user declined.");
      }
      return { code: record.code, username: record.decision.username };
    },
    close: (deviceCode) => void records.delete(deviceCode),
  };
}
