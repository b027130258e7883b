/** Spills a short result and then a longer one under the same key. Prints what went wrong. Argument: the folder. */
import type { Partition } from "../../../src/partitions/partition.ts";
import { createSpill } from "../../../src/partitions/spill.ts";
import { createSealer } from "../../../src/envelope/sealer.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { testKeys } from "../../support/world.ts";

const spill = createSpill({
  folder: process.argv[2]!,
  sealer: createSealer(testKeys(), systemRuntime),
  namespace: "tokenkeep",
  onFailure: (operation, error) => console.log(operation, (error as NodeJS.ErrnoException).code),
});

for (const [signedOutAtMs, length] of [
  [1, 1],
  [2, 2_000],
] as const) {
  const partition = { kind: "account", clientId: "c", issuer: "i", id: "x".repeat(length) } as Partition;
  spill.write("tokenkeep:account:x", { kind: "stamp", partition, signedOutAtMs, weight: 1 });
}
