/** Randomness that a seed decides: one stream per name, so that a change in one place disturbs no other. */
import { createHash } from "node:crypto";

export interface Prng {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** One of the names, as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Partial<Record<K, number>>>): K;
  /** A wait with this mean, ms, exponentially distributed. */
  wait(meanMs: number): number;
  bytes(length: number): Uint8Array;
  uuid(): string;
}

/** sfc32, a small fast counter generator, started from a hash of seed and name. */
export function createPrng(seed: number, name: string): Prng {
  const start = createHash("sha256").update(`${seed} ${name}`).digest();
  let [a, b, c, counter] = [0, 4, 8, 12].map((offset) => start.readUInt32LE(offset) | 0) as [
    number,
    number,
    number,
    number,
  ];

  function word(): number {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  }

  const next = (): number => word() / 0x1_0000_0000;
  const int = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));

  function bytes(length: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(length / 4));
    for (let index = 0; index < words.length; index++) words[index] = word();
    return new Uint8Array(words.buffer, 0, length);
  }

  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (list) => list[int(0, list.length - 1)] as (typeof list)[number],
    weighted(weights) {
      const entries = Object.entries(weights) as [keyof typeof weights & string, number][];
      let left = next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [name_, weight] of entries) if ((left -= weight) < 0) return name_ as never;
      return entries.at(-1)?.[0] as never;
    },
    wait: (meanMs) => -Math.log(1 - next()) * meanMs,
    bytes,
    uuid() {
      const hex = Buffer.from(bytes(16)).toString("hex");
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
    },
  };
}
