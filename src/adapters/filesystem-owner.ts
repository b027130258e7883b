/** Who holds a lock or has left a file behind: a process, named so that others can tell whether it lives. */
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { codeOf } from "./filesystem-errors.ts";
import { randomId, type Runtime } from "../runtime.ts";

/** Processes that see each other's pids have the same `host`: one boot of one machine, one pid namespace. */
interface ProcessName {
  readonly host: string;
  readonly pid: number;
  /** When it started, in the kernel's ticks, so that a reused pid is another process; "0" where unknown. */
  readonly start: string;
}

/**
 * What a holder does with its lock: `put` moves its own file out of it, which fails if the lock was taken
 * away; `remove` unlinks another file, which does not. So only the first kind may lose its lock while it lives.
 */
export type Purpose = "put" | "remove";

/** One holding of a lock, and the name of the file that stands for it. */
export interface Token extends ProcessName {
  readonly name: string;
  readonly purpose: Purpose;
  /** By the wall clock of its maker. */
  readonly madeAtMs: number;
}

const SEPARATOR = ".";

export interface Owner {
  /** A token of this process, never the same twice. */
  createToken(purpose: Purpose): Token;
  /** `undefined` for a name that no tokenkeep gave. */
  parse(name: string): Token | undefined;
  /** Whether the process behind a token has ended; `undefined` if that cannot be told from here. */
  hasEnded(token: Token): Promise<boolean | undefined>;
}

export function createOwner(runtime: Runtime): Owner {
  const self = thisProcess();
  return {
    createToken(purpose) {
      const madeAtMs = Math.floor(runtime.now());
      const parts = [purpose, self.host, self.pid, self.start, madeAtMs.toString(36), randomId(runtime)];
      return { ...self, purpose, madeAtMs, name: parts.join(SEPARATOR) };
    },
    parse,
    async hasEnded(token) {
      return token.host === self.host ? hasEnded(token) : undefined;
    },
  };
}

function parse(name: string): Token | undefined {
  const [purpose, host = "", pid = "", start = "", madeAt = "", nonce] = name.split(SEPARATOR);
  const madeAtMs = Number.parseInt(madeAt, 36);
  if ((purpose !== "put" && purpose !== "remove") || nonce === undefined) return undefined;
  if (!/^\d+$/.test(pid) || Number(pid) < 1 || Number.isNaN(madeAtMs)) return undefined;
  return { name, purpose, host, pid: Number(pid), start, madeAtMs };
}

function thisProcess(): ProcessName {
  const boot = tryRead(() => readFileSync("/proc/sys/kernel/random/boot_id", "latin1"));
  const pids = tryRead(() => readlinkSync("/proc/self/ns/pid"));
  const stat = tryRead(() => readFileSync("/proc/self/stat", "latin1"));
  const host = createHash("sha256")
    .update(`${boot || hostname()}\n${pids}`)
    .digest("hex")
    .slice(0, 16);
  return { host, pid: process.pid, start: stat === "" ? "0" : statusOf(stat).start };
}

/** Elsewhere than on Linux there is no such file; then the pid alone has to do. */
function tryRead(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return "";
  }
}

async function hasEnded({ pid, start }: ProcessName): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
  if (start === "0") return false;
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  if (stat === "") return false;
  const status = statusOf(stat);
  return status.start !== start || status.isOver;
}

/** proc(5): state is the third field and starttime the 22nd; the second, in parentheses, may hold anything. */
function statusOf(stat: string): { readonly start: string; readonly isOver: boolean } {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { start: fields[19] ?? "0", isOver: /^[ZX]/.test(fields[0] ?? "") };
}
