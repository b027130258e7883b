/** Sealing and opening a record's bytes, beside the cipher by itself. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { createKeyRing } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compare, type Pace, type Result } from "../lib/compare.ts";
import { createApplication } from "../lib/parties.ts";

const CONTEXT = { namespace: "bench", key: "bench:user:client:issuer:subject", kind: "user" };
const KEY = Buffer.alloc(32, 7);

export const seal: Benchmark = {
  title: "Sealing and opening a blob: a key per record (HKDF), commitment, AES-256-GCM",
  async run({ pace }) {
    const application = createApplication();
    const results: Result[] = [];
    for (const accessTokens of [1, 5, 50]) {
      const plaintext = Buffer.from(application.blob(1, { accessTokens }));
      results.push(...(await sealing(accessTokens, plaintext, pace)));
    }
    return results;
  },
};

async function sealing(accessTokens: number, plaintext: Buffer, pace: Pace): Promise<Result[]> {
  const sealer = createSealer(createKeyRing({ sealing: { id: "bench", key: KEY } }), systemRuntime);
  const sealed = sealer.seal(plaintext, CONTEXT);
  const bare = bareSeal(plaintext);
  const params = { accessTokens, bytes: plaintext.length };
  return [
    ...(await compare({
      bench: "seal",
      params: { what: "seal", ...params },
      pace,
      subjects: [
        { name: "tokenkeep", operation: async () => sealer.seal(plaintext, CONTEXT) },
        { name: "bare AES-256-GCM", operation: async () => bareSeal(plaintext) },
      ],
    })),
    ...(await compare({
      bench: "seal",
      params: { what: "open", ...params },
      pace,
      subjects: [
        { name: "tokenkeep", operation: async () => mustOpen(sealer.open(sealed, CONTEXT)) },
        { name: "bare AES-256-GCM", operation: async () => bareOpen(bare) },
      ],
    })),
  ];
}

interface Bare {
  readonly nonce: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

/** One key for all records, no commitment, nothing bound to a place: the least that encrypts and authenticates. */
function bareSeal(plaintext: Buffer): Bare {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", KEY, nonce);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { nonce, ciphertext, tag: cipher.getAuthTag() };
}

function bareOpen({ nonce, ciphertext, tag }: Bare): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", KEY, nonce);
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

function mustOpen(opened: { readonly ok: boolean }): void {
  if (!opened.ok) throw new Error("it did not open");
}
