/** Clauses: a data key comes back as it went, and nobody keeps or changes what is not theirs. */
import { isKeyVersion } from "../../envelope/key-wrapper.ts";
import type { KeyWrapper, WrapAnswer } from "../../envelope/key-wrapper.ts";
import { systemRuntime } from "../../runtime.ts";
import { expectBytes } from "./bytes.ts";
import type { KeyWrapperContext } from "./key-wrapper.ts";
import type { Clause } from "./runner.ts";

const KEY_BYTES = 32;

/** A data key as a caller has one: random, and its own. */
export function dataKey(): Uint8Array {
  return Uint8Array.from(systemRuntime.randomBytes(KEY_BYTES));
}

export function wrap(wrapper: KeyWrapper, key: Uint8Array): Promise<WrapAnswer> {
  return wrapper.wrap(key, { signal: new AbortController().signal });
}

export function unwrap(wrapper: KeyWrapper, { wrapped, keyVersion }: WrapAnswer): Promise<Uint8Array> {
  return wrapper.unwrap(wrapped, { keyVersion, signal: new AbortController().signal });
}

export const keyWrapperClauses: Readonly<
  Record<"always" | "rotating", readonly Clause<KeyWrapperContext>[]>
> = {
  always: [
    {
      title: "a key comes back as it went, here and in another process",
      async check({ wrapper, second, expect }) {
        const key = dataKey();
        const answer = await wrap(wrapper, key);
        expectBytes(expect, await unwrap(wrapper, answer), key);
        expectBytes(expect, await unwrap(second, answer), key);
      },
    },
    {
      title: "the key does not stand in what it is wrapped as",
      async check({ wrapper, expect }) {
        const key = dataKey();
        const { wrapped, keyVersion } = await wrap(wrapper, key);
        expect(Buffer.from(wrapped).includes(Buffer.from(key))).toBe(false);
        expect(keyVersion.includes(Buffer.from(key).toString("base64url"))).toBe(false);
      },
    },
    {
      title: "the version is 1 to 512 visible ASCII characters, none of them a comma",
      async check({ wrapper, expect }) {
        expect(isKeyVersion((await wrap(wrapper, dataKey())).keyVersion)).toBe(true);
      },
    },
    {
      title: "the caller's bytes are left as they are, and are not kept: they may be zeroed at once",
      async check({ wrapper, expect }) {
        const key = dataKey();
        const copy = Uint8Array.from(key);
        const answer = await wrap(wrapper, key);
        expectBytes(expect, key, copy);
        key.fill(0);
        const wrapped = Uint8Array.from(answer.wrapped);
        expectBytes(expect, await unwrap(wrapper, answer), copy);
        expectBytes(expect, answer.wrapped, wrapped);
      },
    },
    {
      title: "an unwrapped key is its receiver's own: zeroing it takes it from nobody",
      async check({ wrapper, expect }) {
        const key = dataKey();
        const answer = await wrap(wrapper, key);
        const [first, second] = await Promise.all([unwrap(wrapper, answer), unwrap(wrapper, answer)]);
        first.fill(0);
        expectBytes(expect, second, key);
        expectBytes(expect, await unwrap(wrapper, answer), key);
      },
    },
    {
      title: "calls that overlap do not mix their keys",
      async check({ wrapper, expect }) {
        const keys = Array.from({ length: 8 }, dataKey);
        const answers = await Promise.all(keys.map((key) => wrap(wrapper, key)));
        const unwrapped = await Promise.all(answers.map((answer) => unwrap(wrapper, answer)));
        for (const [index, key] of keys.entries()) expectBytes(expect, unwrapped[index], key);
      },
    },
  ],
  rotating: [
    {
      title: "after a rotation the old version still unwraps, and new keys are wrapped under the new one",
      async check({ wrapper, second, rotate, expect }) {
        const key = dataKey();
        const before = await wrap(wrapper, key);
        await rotate();
        const after = await wrap(wrapper, key);
        expect(after.keyVersion === before.keyVersion).toBe(false);
        for (const answer of [before, after]) expectBytes(expect, await unwrap(second, answer), key);
      },
    },
  ],
};
