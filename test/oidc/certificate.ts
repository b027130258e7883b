/** A certificate for this machine alone, made here: neither Node nor MSAL brings a way to make one. */
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";

/** A self-signed certificate for `localhost`, good for a day (RFC 5280 section 4.1; P-256, SHA-256). */
export function selfSignedCertificate(): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(objectId(ECDSA_WITH_SHA256));
  const toBeSigned = certificateBody(publicKey, algorithm);
  const signature = sign("sha256", toBeSigned, privateKey);
  const der = sequence(toBeSigned, algorithm, bitString(signature));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

function certificateBody(publicKey: KeyObject, algorithm: Buffer): Buffer {
  const name = sequence(set(sequence(objectId(COMMON_NAME), element(0x0c, Buffer.from("localhost")))));
  const now = Date.now();
  return sequence(
    element(0xa0, integer(2)),
    integer(1),
    algorithm,
    name,
    sequence(utcTime(now - DAY_MS), utcTime(now + DAY_MS)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    element(
      0xa3,
      sequence(
        extension(SUBJECT_ALTERNATIVE_NAME, sequence(element(0x82, Buffer.from("localhost")))),
        extension(BASIC_CONSTRAINTS, sequence(element(0x01, Buffer.of(0xff)))),
      ),
    ),
  );
}

// --- DER (ITU-T X.690) ---

function element(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const length = content.length;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...head), content]);
}

const sequence = (...contents: readonly Buffer[]): Buffer => element(0x30, ...contents);
const set = (...contents: readonly Buffer[]): Buffer => element(0x31, ...contents);
const integer = (value: number): Buffer => element(0x02, Buffer.of(value));
const bitString = (bytes: Buffer): Buffer => element(0x03, Buffer.of(0), bytes);
const extension = (id: string, value: Buffer): Buffer => sequence(objectId(id), element(0x04, value));

function utcTime(ms: number): Buffer {
  const [date = "", time = ""] = new Date(ms).toISOString().split("T");
  return element(0x17, Buffer.from(`${date.slice(2)}${time.slice(0, 8)}Z`.replaceAll(/[-:]/g, "")));
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}
