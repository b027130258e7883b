/** A key service for the tests of envelope/: it can be down, slow, or refuse, and counts what it is asked. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { inspect } from "node:util";

import { TokenkeepError } from "../../src/errors.ts";
import type { KeyWrapper } from "../../src/envelope/key-wrapper.ts";

const KEK = randomBytes(32);
const IV = Buffer.alloc(8, 0xa6); // RFC 3394

/** What a client of a key service throws: everything it knows, the keys included. */
class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code = "ECONNRESET";
  readonly statusCode = 503;
  readonly answer: unknown;

  constructor(answer: unknown) {
    super(`the answer was ${inspect(answer)}`);
    this.answer = answer;
  }
}

export interface TestWrapper extends KeyWrapper {
  calls: number;
  /** What comes instead of an answer. `"hangs"`: nothing, until {@link TestWrapper.release}. */
  fault: "down" | "refuses" | "hangs" | undefined;
  /** Answers all that hang. */
  release(): void;
  /** Every array of bytes that an unwrapping handed over. */
  readonly handedOver: Uint8Array[];
  /** Every data key that was wrapped, copied. */
  readonly dataKeys: Buffer[];
}

export function testWrapper(): TestWrapper {
  let waiting: (() => void)[] = [];
  async function answer(work: () => Uint8Array): Promise<Uint8Array> {
    wrapper.calls += 1;
    const { fault } = wrapper;
    if (fault === "hangs") await new Promise<void>((resolve) => void waiting.push(resolve));
    if (fault === "down") throw new ServiceError(wrapper.dataKeys.map((key) => key.toString("base64")));
    if (fault === "refuses") throw new TokenkeepError("ERR_KEYS_REFUSED", "the right to unwrap is missing");
    return work();
  }
  const wrapper: TestWrapper = {
    name: "test-service",
    calls: 0,
    fault: undefined,
    handedOver: [],
    dataKeys: [],
    release() {
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    async wrap(dataKey) {
      wrapper.dataKeys.push(Buffer.from(dataKey));
      const wrapped = await answer(() => {
        const cipher = createCipheriv("id-aes256-wrap", KEK, IV);
        return Buffer.concat([cipher.update(dataKey), cipher.final()]);
      });
      return { wrapped, keyVersion: "v1" };
    },
    async unwrap(wrapped) {
      const bytes = await answer(() => {
        const decipher = createDecipheriv("id-aes256-wrap", KEK, IV);
        return Uint8Array.from(Buffer.concat([decipher.update(wrapped), decipher.final()]));
      });
      wrapper.handedOver.push(bytes);
      return bytes;
    },
  };
  return wrapper;
}
