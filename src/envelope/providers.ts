/** Key rings from where keys are kept: the environment, or a file that only its owner can read. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";

import { checkedRuntime } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import { randomId } from "../runtime.ts";
import type { Runtime } from "../runtime.ts";
import { generateKey, parseKeys } from "./key-ring.ts";
import type { KeyRing } from "./key-ring.ts";

const MAX_FILE_BYTES = 64 * 1024;
const GROUP_AND_OTHERS = 0o077;
const OWNER_ONLY = 0o600;

/**
 * The key ring in an environment variable; its text is that of {@link parseKeys}.
 *
 * Throws {@link OptionsError}, named after the variable, where it is not set or does not parse.
 */
export function keysFromEnv(name: string, env: NodeJS.ProcessEnv = process.env): KeyRing {
  // Who passes the keys in place of the variable's name must not find them in the error.
  if (typeof name !== "string" || !/^(?:[A-Z_][A-Z0-9_]*|[A-Za-z_][A-Za-z0-9_]{0,31})$/.test(name)) {
    throw new OptionsError("name", "must be the name of an environment variable");
  }
  const text = env[name];
  if (text === undefined) throw new OptionsError(name, "is not set in the environment");
  return parseKeys(text, name);
}

/**
 * The key ring in a file; its text is that of {@link parseKeys}, at most 64 KiB. The file must be a regular
 * file, not a symbolic link, and on POSIX systems have no permission for group or others.
 *
 * Throws {@link OptionsError}, named `path`. Reads synchronously: for the start of a process.
 */
export function keysFromFile(path: string): KeyRing {
  const bytes = attempt(path, "read", () => readPrivateFile(path));
  try {
    return parseKeys(bytes.toString("utf8"), "path");
  } finally {
    bytes.fill(0);
  }
}

/**
 * Makes a file with one new key, mode 0600, if there is nothing at `path`. Of several processes that start
 * together one makes it, and none sees it half written. True if this call made it.
 *
 * Throws {@link OptionsError}, named `path`. The file system must know hard links. `runtime` is for tests;
 * default: the system's.
 */
export function writeNewKeyFile(path: string, runtime?: Runtime): boolean {
  const source = checkedRuntime(runtime);
  return attempt(path, "created", () => {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return false;
    const draft = `${path}.${randomId(source)}.new`;
    try {
      writePrivateFile(draft, `${generateKey(source)}\n`);
      return linkIfAbsent(draft, path);
    } finally {
      rmSync(draft, { force: true });
    }
  });
}

function readPrivateFile(path: string): Buffer {
  if (lstatSync(path).isSymbolicLink()) throw fileError(path, "is a symbolic link");
  // Looked at once more after opening, on the descriptor: the name may mean another file by then. Windows has
  // neither flag; without O_NONBLOCK, opening a FIFO would wait for a writer.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  return withDescriptor(openSync(path, flags), (descriptor) => {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw fileError(path, "is not a regular file");
    if (process.platform !== "win32" && (stats.mode & GROUP_AND_OTHERS) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
      throw fileError(path, `has mode ${mode} and is not its owner's alone; run: chmod 600 ${shown(path)}`);
    }
    if (stats.size > MAX_FILE_BYTES) throw fileError(path, `is larger than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(descriptor);
  });
}

function writePrivateFile(path: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  withDescriptor(openSync(path, flags, OWNER_ONLY), (descriptor) => {
    fchmodSync(descriptor, OWNER_ONLY); // a strict umask takes the owner's rights too
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  });
}

/** Unlike a rename, a link does not replace what another process has put there meanwhile. */
function linkIfAbsent(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

function withDescriptor<T>(descriptor: number, use: (descriptor: number) => T): T {
  try {
    return use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Turns errors of the file system into ours, without their text and `cause`: both repeat the path. */
function attempt<T>(path: string, what: "read" | "created", action: () => T): T {
  if (typeof path !== "string" || path === "") throw new OptionsError("path", "must be the path of a file");
  try {
    return action();
  } catch (error) {
    if (error instanceof OptionsError) throw error;
    throw fileError(path, `cannot be ${what} (${errnoOf(error) ?? "unknown error"})`);
  }
}

function fileError(path: string, problem: string): OptionsError {
  return new OptionsError("path", `names ${shown(path)}, which ${problem}`);
}

/** The path for an error message, unless somebody passed the keys in its place. */
function shown(path: string): string {
  return /(^|:)(?!\/)[A-Za-z0-9+/_=-]{32,}($|[\s,])/.test(path) ? "(not shown)" : path;
}

function errnoOf(error: unknown): string | undefined {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
