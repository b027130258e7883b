/** `npm run types:bench`: brings the peers, whose types are needed, and checks the benchmarks' own. */
import { join } from "node:path";
import { run } from "../scripts/lib/run.ts";
import { ROOT } from "../scripts/lib/tree.ts";
import { bringPeers } from "./lib/peers.ts";

await bringPeers();
process.exitCode = (await run("tsc", ["--noEmit", "-p", join(ROOT, "bench/tsconfig.json")])).code;
