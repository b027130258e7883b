/**
 * The envelope once more, by WebCrypto and from the description alone: it shares no code with src/envelope,
 * so that the format is held by two implementations. It also makes records that no sealer would make.
 */
import { webcrypto } from "node:crypto";

export interface ReferenceRecord {
  readonly keyId: string;
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  readonly namespace: string;
  readonly partitionKey: string;
  readonly kind: string;
  readonly plaintext: Uint8Array;
  readonly version?: number;
  readonly suite?: number;
  readonly flags?: number;
  /** Stands in the header in place of the right commitment; the tag is made to agree with it. */
  readonly commitment?: Uint8Array;
}

export async function referenceSeal(record: ReferenceRecord): Promise<Buffer> {
  const { version = 1, suite = 1, flags = 0, keyId } = record;
  const name = Buffer.from(keyId, "latin1");
  const derived = await hkdf(record, [Buffer.of(suite, flags), name]);
  const header = Buffer.concat([
    Buffer.from("TKE"),
    Buffer.of(version, suite, flags, name.length),
    name,
    record.salt,
    record.commitment ?? derived.subarray(32, 64),
  ]);
  const key = await webcrypto.subtle.importKey("raw", derived.subarray(0, 32), "AES-GCM", false, ["encrypt"]);
  const additionalData = Buffer.concat([
    header,
    ...[record.namespace, record.partitionKey, record.kind].flatMap(lengthPrefixed),
  ]);
  const sealed = await webcrypto.subtle.encrypt(
    { name: "AES-GCM", iv: derived.subarray(64, 76), additionalData, tagLength: 128 },
    key,
    Buffer.from(record.plaintext),
  );
  return Buffer.concat([header, Buffer.from(sealed)]);
}

async function hkdf(record: ReferenceRecord, tail: readonly Uint8Array[]): Promise<Buffer> {
  const input = await webcrypto.subtle.importKey("raw", Buffer.from(record.key), "HKDF", false, [
    "deriveBits",
  ]);
  const info = Buffer.concat([Buffer.from("tokenkeep/envelope/v1"), ...tail]);
  const parameters = { name: "HKDF", hash: "SHA-512", salt: Buffer.from(record.salt), info };
  return Buffer.from(await webcrypto.subtle.deriveBits(parameters, input, 76 * 8));
}

function lengthPrefixed(text: string): readonly Buffer[] {
  const bytes = Buffer.alloc(text.length * 2);
  for (let index = 0; index < text.length; index += 1) bytes.writeUInt16LE(text.charCodeAt(index), index * 2);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return [length, bytes];
}
