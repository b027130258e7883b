/** Whether a hit grows with the number of users whose tokens are in memory. */
import { totalmem } from "node:os";
import { startApart, type Apart } from "../lib/apart.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compare } from "../lib/compare.ts";
import type { UsersSettings } from "./children/users.ts";

const HEAP_MB = 12_288;
const L1_MAX_BYTES = 8_000_000_000;

export const users: Benchmark = {
  title: `Users resident in memory, one access token and about 2 KB each; a process per size, heap limit ${HEAP_MB} MB, L1 limit 8 GB`,
  async run({ pace, isQuick }) {
    const most = totalmem() > HEAP_MB * 2 ** 20 ? 1_000_000 : 200_000;
    const sizes = isQuick ? [100, 1_000, 20_000] : [100, 10_000, most];
    const processes: Apart[] = [];
    try {
      for (const [index, size] of sizes.entries()) {
        const settings: UsersSettings = {
          users: size,
          l1MaxBytes: L1_MAX_BYTES,
          withMsal: index < 2,
          isQuick,
        };
        processes.push(await startApart("users.ts", settings, [`--max-old-space-size=${HEAP_MB}`]));
      }
      const subjects = processes.flatMap((process) => process.subjects);
      const results = await compare({ bench: "users", params: {}, pace, subjects });
      const measured = Object.assign(
        {},
        ...processes.map((process) => process.measured),
      ) as Apart["measured"];
      return results.map((result) => ({ ...result, ...withMore(measured[result.subject]) }));
    } finally {
      await Promise.all(processes.map((process) => process.stop()));
    }
  },
};

function withMore(more: Apart["measured"][string] | undefined): object {
  return more ? { more } : {};
}
