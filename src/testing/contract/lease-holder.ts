/** Clauses: who has the lease, for how long, and who may say so. */
import { fresh } from "./bytes.ts";
import type { LeaseContext, Taken } from "./refresh-lease.ts";
import type { Clause } from "./runner.ts";

const ASKING = 20;

export const leaseHolderClauses: readonly Clause<LeaseContext>[] = [
  {
    title: "of 20 who ask at once, exactly one gets the lease",
    async check({ lease, second, take, expect }) {
      const asked = Array.from({ length: ASKING }, (_, index) => take(index % 2 === 0 ? lease : second, 6));
      const answers = await Promise.all(asked);
      expect(answers.filter(({ result }) => result.held).length).toBe(1);
    },
  },
  {
    title: "a lease that one client has, a second client does not get",
    async check({ lease, second, take, expect }) {
      expect((await take(lease, 6)).result.held).toBe(true);
      expect((await take(second, 6)).result.held).toBe(false);
      expect((await take(lease, 6)).result.held).toBe(false);
    },
  },
  {
    title: "whoever does not get it learns how long the holder has it unless it renews, if that can be told",
    async check({ lease, second, take, pass, ttlStepMs, expect }) {
      await take(lease, 6);
      const early = remaining(await take(second, 1));
      await pass(2);
      const late = remaining(await take(second, 1));
      expect(early === undefined).toBe(late === undefined);
      if (early === undefined || late === undefined) return;
      expect(early > 4 * ttlStepMs && early <= 6 * ttlStepMs).toBe(true);
      expect(late > 0 && late <= 4 * ttlStepMs).toBe(true);
    },
  },
  {
    title: "a lease lasts for its ttlMs, however often others ask",
    async check({ lease, second, take, pass, expect }) {
      await take(lease, 4);
      await take(second, 6);
      await pass(2);
      expect((await take(second, 6)).result.held).toBe(false);
    },
  },
  {
    title: "anybody may take a lease whose ttlMs has passed, however often others asked meanwhile",
    async check({ lease, second, take, pass, expect }) {
      await take(lease, 3);
      await pass(2);
      await take(second, 6);
      await pass(2);
      expect((await take(second, 6)).result.held).toBe(true);
      expect((await take(lease, 6)).result.held).toBe(false);
    },
  },
  {
    title: "renew extends the caller's lease to ttlMs from now",
    async check({ lease, second, take, pass, ttlStepMs, expect }) {
      const { owner } = await take(lease, 3);
      await pass(2);
      expect(await lease.renew("key", { owner, ttlMs: 4 * ttlStepMs })).toBe(true);
      await pass(2);
      expect((await take(second, 1)).result.held).toBe(false);
      await pass(3);
      expect((await take(second, 1)).result.held).toBe(true);
    },
  },
  {
    title: "renew by anybody but the owner, or of a lease nobody has, is false and extends nothing",
    async check({ lease, second, take, pass, ttlStepMs, expect }) {
      const stranger = { owner: fresh(), ttlMs: 6 * ttlStepMs };
      expect(await lease.renew("key", stranger)).toBe(false);
      expect((await take(lease, 2)).result.held).toBe(true);
      expect(await second.renew("key", stranger)).toBe(false);
      await pass(3);
      expect((await take(second, 1)).result.held).toBe(true);
    },
  },
  {
    title: "renew of a lease whose time has passed is false and does not take it back",
    async check({ lease, second, take, pass, ttlStepMs, expect }) {
      const { owner } = await take(lease, 1);
      await pass(2);
      expect(await lease.renew("key", { owner, ttlMs: 6 * ttlStepMs })).toBe(false);
      expect((await take(second, 6)).result.held).toBe(true);
      expect(await lease.renew("key", { owner, ttlMs: 6 * ttlStepMs })).toBe(false);
    },
  },
  {
    title: "a lease that was taken over is its new owner's to renew, also after the old one tried",
    async check({ lease, second, take, pass, ttlStepMs, expect }) {
      const old = await take(lease, 1);
      await pass(2);
      const taker = await take(second, 3);
      await lease.renew("key", { owner: old.owner, ttlMs: ttlStepMs });
      expect(await second.renew("key", { owner: taker.owner, ttlMs: 6 * ttlStepMs })).toBe(true);
      await pass(4);
      expect((await take(lease, 1)).result.held).toBe(false);
    },
  },
  {
    title: "a lease that was given back is free at once, for every client, and no longer the giver's",
    async check({ lease, second, take, ttlStepMs, expect }) {
      const { owner } = await take(lease, 6);
      await lease.release("key", { owner });
      expect(await lease.renew("key", { owner, ttlMs: ttlStepMs })).toBe(false);
      expect((await take(second, 6)).result.held).toBe(true);
    },
  },
  {
    title: "release by anybody but the owner leaves the lease alone",
    async check({ lease, second, take, ttlStepMs, expect }) {
      const { owner } = await take(lease, 6);
      await second.release("key", { owner: fresh() });
      await lease.release("key", { owner: fresh() });
      expect((await take(second, 6)).result.held).toBe(false);
      expect(await lease.renew("key", { owner, ttlMs: 6 * ttlStepMs })).toBe(true);
    },
  },
  {
    title: "a late release leaves alone whoever has taken the lease over",
    async check({ lease, second, take, pass, expect }) {
      const { owner } = await take(lease, 1);
      await pass(2);
      expect((await take(second, 6)).result.held).toBe(true);
      await lease.release("key", { owner });
      expect((await take(lease, 6)).result.held).toBe(false);
    },
  },
  {
    title: "releasing what nobody has, or twice, does no harm",
    async check({ lease, take, expect }) {
      await lease.release("key", { owner: fresh() });
      const { owner } = await take(lease, 6);
      await lease.release("key", { owner });
      await lease.release("key", { owner });
      expect((await take(lease, 6)).result.held).toBe(true);
    },
  },
  {
    title: "keys are independent, also those that differ only by case, spaces or a wildcard",
    async check({ lease, second, take, ttlStepMs, expect }) {
      const options = { owner: fresh(), ttlMs: 6 * ttlStepMs };
      const { owner } = await take(lease, 6);
      for (const key of ["KEY", "key ", "key%", "ke_", "key:1"]) {
        expect((await second.acquire(key, options)).held).toBe(true);
        expect(await second.renew(key, options)).toBe(true);
        await second.release(key, options);
      }
      expect((await take(second, 6)).result.held).toBe(false);
      expect(await lease.renew("key", { ...options, owner })).toBe(true);
    },
  },
];

function remaining({ result }: Taken): number | undefined {
  return result.held ? undefined : result.remainingMs;
}
