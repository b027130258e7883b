/** Where the browser is: a real program of the machine, never downloaded by npm. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** The one command that brings it, on Debian. */
export const INSTALL =
  "apt-get update && apt-get install -y --no-install-recommends chromium fonts-liberation";

const DEFAULT_PATH = "/usr/bin/chromium";

interface Machine {
  readonly env: NodeJS.ProcessEnv;
  readonly exists: (path: string) => boolean;
  readonly install: () => void;
}

const thisMachine: Machine = {
  env: process.env,
  exists: existsSync,
  install: () => void execFileSync("/bin/sh", ["-c", INSTALL], { stdio: "inherit" }),
};

/**
 * The path of Chromium: `TOKENKEEP_CHROMIUM`, else Debian's. Where it is missing it is installed with `CI=true`
 * or `TOKENKEEP_APT=1`; else `undefined`.
 * @throws if `TOKENKEEP_CHROMIUM` names nothing, or installing did not bring it.
 */
export function findChromium({ env, exists, install }: Machine = thisMachine): string | undefined {
  const named = env["TOKENKEEP_CHROMIUM"];
  if (named) {
    if (exists(named)) return named;
    throw new Error(`TOKENKEEP_CHROMIUM names ${named}, and there is no such program`);
  }
  if (exists(DEFAULT_PATH)) return DEFAULT_PATH;
  if (env["CI"] !== "true" && env["TOKENKEEP_APT"] !== "1") return undefined;
  install();
  if (exists(DEFAULT_PATH)) return DEFAULT_PATH;
  throw new Error(`Chromium is not at ${DEFAULT_PATH} although this was run: ${INSTALL}`);
}
