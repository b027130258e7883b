import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { createKeyRing } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import type { SealContext } from "../../src/envelope/sealer.ts";
import { referenceSeal } from "./reference.ts";
import { knownRandomness } from "./support.ts";

interface Vectors {
  readonly keys: Readonly<Record<string, string>>;
  readonly sealed: readonly {
    readonly name: string;
    readonly keyId: string;
    readonly salt: string;
    readonly context: SealContext;
    readonly plaintext: string;
    readonly sealed: string;
  }[];
  /** Only opened: what a compressor makes of a text differs between its releases. */
  readonly packed: readonly {
    readonly name: string;
    readonly keyId: string;
    readonly context: SealContext;
    readonly plaintext: string;
    readonly sealed: string;
  }[];
  readonly refused: readonly {
    readonly name: string;
    readonly context: SealContext;
    readonly reason: string;
    readonly bytes: string;
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../vectors/envelope-v1.json", import.meta.url), "utf8"),
) as Vectors;
const keys = Object.entries(vectors.keys).map(([id, key]) => ({ id, key: Buffer.from(key, "hex") }));

function sealerFor(keyId: string, salt = "") {
  const sealing = keys.find(({ id }) => id === keyId)!;
  return createSealer(
    createKeyRing({ sealing, opening: keys }),
    knownRandomness(Buffer.from(salt || "00", "hex")),
  );
}

test.each(vectors.sealed)("format 1 still opens: $name", (vector) => {
  const opened = sealerFor(keys[0]!.id).open(Buffer.from(vector.sealed, "hex"), vector.context);
  expect(opened).toEqual({ ok: true, plaintext: Buffer.from(vector.plaintext, "hex"), keyId: vector.keyId });
});

test.each(vectors.packed)("format 1 still opens what was packed: $name", (vector) => {
  const opened = sealerFor(keys[0]!.id).open(Buffer.from(vector.sealed, "hex"), vector.context);
  expect(opened).toEqual({ ok: true, plaintext: Buffer.from(vector.plaintext, "hex"), keyId: vector.keyId });
});

test.each(vectors.sealed)("the same salt gives the same bytes as ever: $name", (vector) => {
  const sealed = sealerFor(vector.keyId, vector.salt).seal(
    Buffer.from(vector.plaintext, "hex"),
    vector.context,
  );
  expect(Buffer.from(sealed).toString("hex")).toBe(vector.sealed);
});

test.each(vectors.sealed)("a second implementation agrees: $name", async (vector) => {
  const sealed = await referenceSeal({
    keyId: vector.keyId,
    key: Buffer.from(vectors.keys[vector.keyId]!, "hex"),
    salt: Buffer.from(vector.salt, "hex"),
    namespace: vector.context.namespace,
    partitionKey: vector.context.key,
    kind: vector.context.kind,
    plaintext: Buffer.from(vector.plaintext, "hex"),
  });
  expect(sealed.toString("hex")).toBe(vector.sealed);
});

test.each(vectors.refused)("does not open, $reason: $name", (vector) => {
  const opened = sealerFor(keys[0]!.id).open(Buffer.from(vector.bytes, "hex"), vector.context);
  expect(opened).toEqual({ ok: false, reason: vector.reason });
});
