/** The store's folder: whose it is, who may use it, and what lies in it. */
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statfsSync,
  statSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { dirname, join } from "node:path";
import { HAS_MODES, OTHERS_MAY } from "./filesystem-file.ts";
import { codeOf, isMissing, openFailure, reasonOf } from "./filesystem-errors.ts";
import type { Finding } from "../store/blob-store.ts";

/** Where everything is, below the store's folder. */
export interface Layout {
  readonly root: string;
  readonly records: string;
  readonly leases: string;
  readonly activity: string;
  readonly locks: string;
  /** What is being written, each in a folder of its own. */
  readonly work: string;
  readonly signals: string;
}

const FOLDERS = ["records", "leases", "activity", "locks", "work", "signals"] as const;

const FORMAT_FILE = "format";
const FORMAT = "tokenkeep filesystem store, version ";
const FORMAT_VERSION = 1;

/** The magic numbers of statfs(2): NFS, CIFS, SMB, SMB2. */
const NETWORK_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x6969, 0xff53_4d42, 0x517b, 0xfe53_4d42]);

/**
 * Makes sure that the folder is there, is ours and nobody else may use it (mode 0700). Synchronous: it happens
 * once, at start. An existing folder is never changed before it is known to be ours.
 * @throws {TokenkeepError} ERR_STORE_OPEN saying what is wrong and what to do.
 */
export function openFolder(root: string): Layout {
  try {
    makePrivate(root);
    const [problem] = [...problemsOf(root), ...ancestorProblems(root)];
    if (problem !== undefined) throw openFailure(problem);
    checkContent(root);
    const layout = layoutOf(root);
    for (const name of FOLDERS) {
      makePrivate(layout[name]);
      const [wrong] = problemsOf(layout[name]);
      if (wrong !== undefined) throw openFailure(wrong);
    }
    return layout;
  } catch (error) {
    if (codeOf(error) === "ERR_STORE_OPEN") throw error;
    throw openFailure(`${root} cannot be opened (${reasonOf(error)})`, error);
  }
}

function layoutOf(root: string): Layout {
  const folders = Object.fromEntries(FOLDERS.map((name) => [name, join(root, name)]));
  return { root, ...(folders as Omit<Layout, "root">) };
}

function makePrivate(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    if (!isMissing(error))
      throw openFailure(`the folder ${path} cannot be created (${reasonOf(error)})`, error);
    throw openFailure(`the folder ${dirname(path)} does not exist; create it`, error);
  }
}

/** Somebody's home folder, given by mistake, must not be filled with our files. */
function checkContent(root: string): void {
  const ours = new Set<string>([...FOLDERS, FORMAT_FILE]);
  const stranger = readdirSync(root).find((name) => !ours.has(name) && !name.startsWith(`${FORMAT_FILE}.`));
  const format = formatOf(root);
  if (format === undefined) {
    if (stranger !== undefined) {
      throw openFailure(
        `${root} holds other files, and none that says it is tokenkeep's; give a folder of its own`,
      );
    }
    return writeFormat(root);
  }
  const version = format.startsWith(FORMAT) ? Number(format.slice(FORMAT.length)) : Number.NaN;
  if (version === FORMAT_VERSION) return;
  if (version > FORMAT_VERSION) {
    throw openFailure(`${root} was written by a newer tokenkeep; upgrade this process too`);
  }
  throw openFailure(
    `${join(root, FORMAT_FILE)} does not say what it should; give another folder, or restore the file`,
  );
}

/** An empty one is being written by another process at this moment, or was when it died. */
function formatOf(root: string): string | undefined {
  try {
    return readFileSync(join(root, FORMAT_FILE), "utf8").trim() || undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The same bytes whoever writes them, so it does not matter who is last. */
function writeFormat(root: string): void {
  const flags = constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW;
  const file = openSync(join(root, FORMAT_FILE), flags, 0o600);
  try {
    writeFileSync(file, `${FORMAT}${FORMAT_VERSION}\n`);
  } finally {
    closeSync(file);
  }
}

/** What is wrong with a folder that must be ours alone. */
function problemsOf(path: string): string[] {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return [`${path} is a symbolic link; give the path of the folder itself`];
  if (!stats.isDirectory()) return [`${path} is not a folder`];
  if (!HAS_MODES) return [];
  const user = process.geteuid?.();
  if (stats.uid !== user) {
    return [`${path} belongs to user ${stats.uid}; make user ${user}, which runs this process, the owner`];
  }
  if ((stats.mode & OTHERS_MAY) === 0) return [];
  return [`${path} has mode ${modeOf(stats)}, others than its owner may use it; run: chmod 700 ${path}`];
}

/** Whoever may rename a folder above ours could put another in its place. */
function ancestorProblems(root: string): string[] {
  if (!HAS_MODES) return [];
  return ancestorsOf(root)
    .filter(({ stats }) => (stats.mode & 0o002) !== 0 && (stats.mode & 0o1000) === 0)
    .map(
      ({ path }) =>
        `everybody may write to ${path} and could replace the store's folder; run: chmod o-w ${path}`,
    );
}

function ancestorsOf(root: string): { readonly path: string; readonly stats: Stats }[] {
  const found: { path: string; stats: Stats }[] = [];
  for (let path = dirname(realpathSync(root)); ; path = dirname(path)) {
    found.push({ path, stats: statSync(path) });
    if (path === dirname(path)) return found;
  }
}

function modeOf(stats: Stats): string {
  return (stats.mode & 0o7777).toString(8);
}

/** Findings on permissions and the file system. Changes nothing. */
export function inspectFolder(layout: Layout, inode: number): Finding[] {
  if (isReplaced(layout.root, inode)) {
    const message = `${layout.root} has been removed or replaced since it was opened; restart the process`;
    return [{ severity: "error", code: "folder-replaced", message }];
  }
  const problems = [layout.root, ...FOLDERS.map((name) => layout[name])].flatMap((path) => {
    try {
      return problemsOf(path);
    } catch (error) {
      return [`${path} cannot be looked at (${reasonOf(error)})`];
    }
  });
  const wrong = [...problems, ...ancestorProblems(layout.root)].map((message): Finding => ({
    severity: "error",
    code: "permissions",
    message,
  }));
  const sound: Finding = {
    severity: "info",
    code: "permissions",
    message: "only the owner may use the folder",
  };
  return [...(wrong.length > 0 ? wrong : [sound]), ...inspectFileSystem(layout.root)];
}

function inspectFileSystem(path: string): Finding[] {
  if (!NETWORK_FILE_SYSTEMS.has(statfsSync(path).type)) return [];
  const message =
    "the folder is on a network file system, where renames and caches are not dependable; use a local disk";
  return [{ severity: "error", code: "network-file-system", message }];
}

/** The folder's inode, by which {@link inspectFolder} sees that it was replaced. */
export function inodeOf(path: string): number {
  return lstatSync(path).ino;
}

function isReplaced(path: string, inode: number): boolean {
  try {
    return inodeOf(path) !== inode;
  } catch {
    return true;
  }
}
