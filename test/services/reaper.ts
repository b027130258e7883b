/** Ends the servers of a test process that died without doing so: its pipe to the reaper closes with it. */
import { spawn, type ChildProcess } from "node:child_process";

/** Reads "+PID" and "-PID"; at the end of its input kills what was added and not taken out again. */
const SCRIPT = `alive=" "
while read -r line; do
  pid=\${line#?}
  case $line in
    +*) alive="$alive$pid " ;;
    -*) alive="\${alive%% $pid *} \${alive#* $pid }" ;;
  esac
done
for pid in $alive; do kill -KILL "$pid" 2>/dev/null; done`;

/** Knows the servers that are running. One shell for all servers of a process. */
interface Reaper {
  add(pid: number): void;
  /** To be called as soon as the server has ended: its number may become another process's. */
  remove(pid: number): void;
}

/** Held in an object, because one process must have no more than one. */
const started: { reaper?: Reaper } = {};

export function reaper(): Reaper {
  started.reaper ??= startReaper();
  return started.reaper;
}

function startReaper(): Reaper {
  // In a group of its own: Ctrl-C in a terminal must reach the tests, and not this.
  const shell = spawn("/bin/sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  shell.unref();
  unrefPipe(shell);
  shell.stdin?.on("error", () => {});
  const tell = (line: string): void => {
    shell.stdin?.write(`${line}\n`);
  };
  return { add: (pid) => tell(`+${pid}`), remove: (pid) => tell(`-${pid}`) };
}

/** An open pipe would keep the process from ending by itself. */
function unrefPipe({ stdin }: ChildProcess): void {
  (stdin as unknown as { unref?: () => void } | null)?.unref?.();
}
