/** Clauses: a backend that cannot answer is neither held nor free. */
import { inspect } from "node:util";
import type { LeaseContext } from "./refresh-lease.ts";
import type { Clause } from "./runner.ts";

const SECRET_KEY = "key-that-names-somebody";
const SECRET_OWNER = "owner-that-is-nobody-elses-business";

export const leaseFailureClauses: readonly Clause<LeaseContext>[] = [
  {
    title: "a dead backend is an error: neither held by somebody, nor granted, nor lost",
    async check({ lease, take, fail, ttlStepMs, expect }) {
      const { owner } = await take(lease, 6);
      await fail();
      const calls = [
        () => take(lease, 6),
        () => lease.renew("key", { owner, ttlMs: 6 * ttlStepMs }),
        () => lease.release("key", { owner }),
      ];
      for (const call of calls) expect((await failureOf(call)) instanceof Error).toBe(true);
    },
  },
  {
    title: "an error names neither the key nor the owner, nor do its causes",
    async check({ lease, fail, ttlStepMs, expect }) {
      await fail();
      const options = { owner: SECRET_OWNER, ttlMs: ttlStepMs };
      const errors = [
        await failureOf(() => lease.acquire(SECRET_KEY, options)),
        await failureOf(() => lease.renew(SECRET_KEY, options)),
        await failureOf(() => lease.release(SECRET_KEY, options)),
      ];
      for (const error of errors) {
        const shown = inspect(error, { depth: 10, showHidden: true });
        expect(shown.includes(SECRET_KEY)).toBe(false);
        expect(shown.includes(SECRET_OWNER)).toBe(false);
      }
    },
  },
];

async function failureOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}
