/** Subjects in processes of their own: with a heap of their own, and turn by turn all the same. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { roundsOf, type RemoteSubject, type Round, type Subject } from "./compare.ts";

/** What the process has measured beside its rounds, by name and unit. */
export type Measured = Readonly<Record<string, number>>;

export interface Apart {
  /** The subjects of the process, each under its name with `label` behind it. */
  readonly subjects: readonly RemoteSubject[];
  /** Of each subject what else was measured before the rounds. */
  readonly measured: Readonly<Record<string, Measured>>;
  stop(): Promise<void>;
}

interface Ready {
  readonly names: readonly string[];
  readonly measured: Readonly<Record<string, Measured>>;
}

/** Starts `benches/children/FILE` and waits until it has prepared itself, which may take a while. */
export async function startApart(
  file: string,
  settings: object,
  nodeFlags: readonly string[] = [],
): Promise<Apart> {
  const path = fileURLToPath(new URL(`../benches/children/${file}`, import.meta.url));
  const child = fork(path, [JSON.stringify(settings)], {
    execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning", ...nodeFlags],
  });
  const answer = <R>(): Promise<R> =>
    new Promise((resolve, reject) => {
      const fail = (code: number | null): void => reject(new Error(`${file} ended with ${code}`));
      child.once("exit", fail);
      child.once("message", (message) => {
        child.off("exit", fail);
        resolve(message as R);
      });
    });
  const { names, measured } = await answer<Ready>();
  const ended = once(child, "exit");
  return {
    measured,
    subjects: names.map((name) => ({
      name,
      round(callers, ms) {
        child.send({ name, callers, ms });
        return answer<Round>();
      },
    })),
    async stop() {
      child.disconnect();
      await ended;
    },
  };
}

/** The child's side: says what it has, then makes rounds until nobody wants more. */
export function serveApart(
  subjects: readonly Subject[],
  measured: Readonly<Record<string, Measured>> = {},
): void {
  const rounds = new Map(subjects.map((subject) => [subject.name, roundsOf(subject)]));
  process.on("message", ({ name, callers, ms }: { name: string; callers: number; ms: number }) => {
    void rounds.get(name)!(callers, ms).then((round) => process.send?.(round));
  });
  process.once("disconnect", () => process.exit());
  const ready: Ready = { names: [...rounds.keys()], measured };
  process.send?.(ready);
}

export function settingsOf<S>(): S {
  return JSON.parse(process.argv[2] ?? "{}") as S;
}
