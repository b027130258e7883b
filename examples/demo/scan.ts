/** Looks for secrets where none may be: in files, logs and cookies. */
import { readFileSync } from "node:fs";

/** Bytes to search. */
export interface Haystack {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Something that must not be found. `label` stands for it in reports: they are logs too. */
export interface Secret {
  readonly label: string;
  readonly value: string | Uint8Array;
}

export interface Leak {
  /** The haystack's name. */
  readonly where: string;
  /** The secret's label. */
  readonly what: string;
  /** How it was written, e.g. `base64`. */
  readonly form: string;
}

/** Of a long secret its beginning or its end is enough: a part of a token in a log is a leak too. */
const PART_LENGTH = 24;
const LONG = 2 * PART_LENGTH;

/**
 * Every secret in every haystack, as it is, in UTF-16, hexadecimal, and base64 and base64url at any alignment,
 * so also inside a larger text that was encoded as a whole. Does not see through compression or encryption.
 */
export function findSecrets(haystacks: readonly Haystack[], secrets: readonly Secret[]): Leak[] {
  const buffers = haystacks.map(({ name, bytes }) => ({ name, buffer: Buffer.from(bytes) }));
  const leaks: Leak[] = [];
  for (const secret of secrets) {
    const needles = partsOf(secret.value).flatMap(formsOf);
    for (const { name, buffer } of buffers) {
      const found = needles.find((needle) => buffer.includes(needle.bytes));
      if (found) leaks.push({ where: name, what: secret.label, form: found.form });
    }
  }
  return leaks;
}

/** The keys of a key file: as text and as the bytes they stand for. */
export function keySecrets(keyFile: string): Secret[] {
  return readFileSync(keyFile, "utf8")
    .trim()
    .split(/\s+/)
    .map((entry) => entry.slice(entry.indexOf(":") + 1))
    .flatMap((text) => [
      { label: "a key, as text", value: text },
      { label: "a key, as bytes", value: Buffer.from(text, "base64url") },
    ]);
}

/** Secrets that are only known as strings; `kind` and a number label them. */
export function stringSecrets(kind: string, values: Iterable<string>): Secret[] {
  return [...values].map((value, index) => ({ label: `${kind} ${index + 1}`, value }));
}

function partsOf(value: string | Uint8Array): Buffer[] {
  const whole = typeof value === "string" ? Buffer.from(value, "utf8") : Buffer.from(value);
  if (whole.length === 0) throw new Error("an empty secret would be found everywhere");
  if (whole.length < LONG) return [whole];
  return [whole.subarray(0, PART_LENGTH), whole.subarray(-PART_LENGTH)];
}

interface Needle {
  readonly form: string;
  readonly bytes: Buffer;
}

function formsOf(part: Buffer): Needle[] {
  const hex = part.toString("hex");
  const base64 = [0, 1, 2].map((offset) => base64At(part, offset));
  return [
    { form: "as it is", bytes: part },
    { form: "UTF-16", bytes: Buffer.from(part.toString("latin1"), "utf16le") },
    { form: "hexadecimal", bytes: Buffer.from(hex) },
    { form: "hexadecimal", bytes: Buffer.from(hex.toUpperCase()) },
    ...base64.map((text) => ({ form: "base64", bytes: Buffer.from(text) })),
    ...base64.map((text) => ({
      form: "base64url",
      bytes: Buffer.from(text.replaceAll("+", "-").replaceAll("/", "_")),
    })),
  ];
}

/** The characters that `part` alone decides when it stands `offset` bytes after a multiple of three. */
function base64At(part: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), part]).toString("base64");
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + part.length) * 8) / 6));
}
