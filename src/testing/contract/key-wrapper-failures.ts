/** Clauses: what is refused for good, what is only not now, and what an error may say. */
import { inspect } from "node:util";
import { TokenkeepError } from "../../errors.ts";
import { dataKey, unwrap, wrap } from "./key-wrapper-keys.ts";
import type { KeyWrapperContext } from "./key-wrapper.ts";
import type { Clause } from "./runner.ts";

type Group = "always" | "down" | "hanging" | "forbidden";

export const keyWrapperFailureClauses: Readonly<Record<Group, readonly Clause<KeyWrapperContext>[]>> = {
  always: [
    {
      title: "what it has not wrapped is refused for good, with ERR_KEYS_REFUSED",
      async check({ wrapper, expect }) {
        const answer = await wrap(wrapper, dataKey());
        const changed = Uint8Array.from(answer.wrapped);
        changed[changed.length - 1]! ^= 1;
        for (const wrapped of [changed, answer.wrapped.slice(1), new Uint8Array(0)]) {
          expect(isRefusal(await failureOf(unwrap(wrapper, { ...answer, wrapped })))).toBe(true);
        }
      },
    },
    {
      title: "an error of unwrapping shows nothing of the key",
      async check({ wrapper, expect }) {
        const key = dataKey();
        const answer = await wrap(wrapper, key);
        const wrapped = Uint8Array.from(answer.wrapped);
        wrapped[0]! ^= 1;
        expect(shows(await failureOf(unwrap(wrapper, { ...answer, wrapped })), key)).toBe(false);
      },
    },
  ],
  down: [
    {
      title: "a service that does not answer is an error, and none that refuses for good",
      async check({ wrapper, fail, expect }) {
        const answer = await wrap(wrapper, dataKey());
        await fail();
        for (const call of [wrap(wrapper, dataKey()), unwrap(wrapper, answer)]) {
          const error = await failureOf(call);
          expect(error instanceof Error && !isRefusal(error)).toBe(true);
        }
      },
    },
  ],
  hanging: [
    {
      title: "a call is given up when its signal is aborted",
      async check({ wrapper, hang, expect }) {
        const { wrapped, keyVersion } = await wrap(wrapper, dataKey());
        await hang();
        const controller = new AbortController();
        const { signal } = controller;
        const calls = [wrapper.wrap(dataKey(), { signal }), wrapper.unwrap(wrapped, { keyVersion, signal })];
        const failures = Promise.all(calls.map(failureOf));
        controller.abort();
        for (const error of await failures) expect(error instanceof Error && !isRefusal(error)).toBe(true);
      },
    },
  ],
  forbidden: [
    {
      title: "a right that is missing is refused for good, with ERR_KEYS_REFUSED",
      async check({ wrapper, forbid, expect }) {
        const answer = await wrap(wrapper, dataKey());
        await forbid();
        expect(isRefusal(await failureOf(unwrap(wrapper, answer)))).toBe(true);
      },
    },
  ],
};

function isRefusal(error: unknown): boolean {
  return error instanceof TokenkeepError && error.code === "ERR_KEYS_REFUSED" && !error.retryable;
}

function shows(error: unknown, key: Uint8Array): boolean {
  const bytes = Buffer.from(key);
  const text = inspect(error, { depth: 10, showHidden: true });
  const forms = [bytes.toString("hex"), bytes.toString("base64url"), bytes.toString("base64"), bytes.join()];
  return forms.some((form) => text.includes(form));
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return error;
  }
}
