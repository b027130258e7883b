/** The peers, in the versions of the lockfile. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../../scripts/lib/run.ts";
import { ROOT } from "../../scripts/lib/tree.ts";

/** Installs them if they are not here. */
export async function bringPeers(): Promise<void> {
  if (existsSync(join(ROOT, "bench/node_modules/.package-lock.json"))) return;
  console.log("bringing the peers: npm ci --prefix bench …");
  await mustRun("npm", ["ci", "--no-audit", "--no-fund", "--prefix", join(ROOT, "bench")]);
}
