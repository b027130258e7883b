/**
 * Finds pieces of secrets, not only whole ones: any 24 characters in a row of a secret part, however written.
 *
 * Of every form of a secret each 13th piece of 12 characters is known, so that any 24 characters of it hold one
 * whole piece; where a piece turns up, what stands around it decides.
 */
import type { Haystack, Leak, Secret } from "../../examples/demo/scan.ts";

/** So many characters of a secret in a row are a leak; a shorter secret must be whole. */
const WINDOW = 24;
const PIECE = 12;
const STRIDE = WINDOW - PIECE + 1;
/** Characters of base64 for a byte: 32 for 24 bytes, less what the neighbours decide at both ends. */
const BASE64 = 30 / 24;
/** Of the first bytes of all pieces: most of a haystack is passed by with one look. */
const FILTER_BITS = 16;

interface Form {
  readonly secret: Secret;
  readonly name: string;
  readonly text: string;
  /** How much of it must stand in a row. */
  readonly needs: number;
}

interface Piece {
  readonly form: Form;
  readonly at: number;
}

export interface WindowScan {
  /** One leak for each haystack and secret, in the order of the haystacks. Never shows the secret. */
  find(haystacks: readonly Haystack[]): Leak[];
}

/** @throws for a secret too short to mean anything where it is found */
export function createWindowScan(secrets: readonly Secret[]): WindowScan {
  const pieces = new Map<string, Piece[]>();
  const filter = new Uint8Array(2 ** FILTER_BITS);
  for (const form of secrets.flatMap(formsOf)) {
    for (let at = 0; at + PIECE <= form.text.length; at += STRIDE) {
      const text = form.text.slice(at, at + PIECE);
      const known = pieces.get(text);
      if (known) known.push({ form, at });
      else pieces.set(text, [{ form, at }]);
      filter[bucketOf(Buffer.from(text, "latin1"), 0)] = 1;
    }
  }

  function findIn({ name, bytes }: Haystack): Leak[] {
    const found = new Map<Secret, Leak>();
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    findInText(name, text, found);
    // As Node prints bytes, and as base64 is folded.
    findInText(name, text.replace(/\s+/g, ""), found);
    return [...found.values()];
  }

  function findInText(name: string, text: string, found: Map<Secret, Leak>): void {
    const buffer = Buffer.from(text, "latin1");
    for (let position = 0; position + PIECE <= text.length; position += 1) {
      if (filter[bucketOf(buffer, position)] === 0) continue;
      for (const { form, at } of pieces.get(text.slice(position, position + PIECE)) ?? []) {
        if (found.has(form.secret) || !standsThere(text, position, form, at)) continue;
        found.set(form.secret, { where: name, what: form.secret.label, form: form.name });
      }
    }
  }

  return { find: (haystacks) => haystacks.flatMap(findIn) };
}

function standsThere(text: string, position: number, form: Form, at: number): boolean {
  let before = 0;
  while (before < at && text[position - before - 1] === form.text[at - before - 1]) before += 1;
  let after = PIECE;
  while (at + after < form.text.length && text[position + after] === form.text[at + after]) after += 1;
  return before + after >= form.needs;
}

function bucketOf(bytes: Buffer, at: number): number {
  const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  return Math.imul(word, 0x9e3779b1) >>> (32 - FILTER_BITS);
}

function formsOf(secret: Secret): Form[] {
  const whole =
    typeof secret.value === "string" ? Buffer.from(secret.value, "utf8") : Buffer.from(secret.value);
  if (whole.length < PIECE) throw new Error(`${secret.label} is too short to be looked for`);
  const bytes = secretPartOf(whole);
  const raw = bytes.toString("latin1");
  const hex = bytes.toString("hex");
  const forms: [name: string, text: string, perByte: number][] = [
    ["as it is", raw, 1],
    ["UTF-16", Buffer.from(raw, "utf16le").toString("latin1"), 1.95],
    ["hexadecimal", hex, 2],
    ["hexadecimal", hex.toUpperCase(), 2],
    ["decimal", bytes.join(","), 2],
  ];
  if (/^[\x20-\x7e]*$/.test(raw)) {
    const escaped = encodeURIComponent(raw);
    if (escaped !== raw) forms.push(["URL-encoded", escaped, 1]);
  }
  for (const offset of [0, 1, 2]) {
    const base64 = base64At(bytes, offset);
    forms.push(["base64", base64, BASE64]);
    if (/[+/]/.test(base64))
      forms.push(["base64url", base64.replaceAll("+", "-").replaceAll("/", "_"), BASE64]);
  }
  return forms.map(([name, text, perByte]) => ({
    secret,
    name,
    text,
    needs: Math.min(text.length, Math.floor(WINDOW * perByte)),
  }));
}

/** The header of a JWT says which algorithm and key it was signed with, and is the same in all. */
function secretPartOf(bytes: Buffer): Buffer {
  const jwt = /^eyJ[\w-]+\.(?=[\w-]+\.[\w-]+$)/.exec(bytes.toString("latin1"));
  return jwt ? bytes.subarray(jwt[0].length) : bytes;
}

/** The characters that `part` alone decides when it stands `offset` bytes after a multiple of three. */
function base64At(part: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), part]).toString("base64");
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + part.length) * 8) / 6));
}
