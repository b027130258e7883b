import type { Pace, Result } from "./compare.ts";

/** One benchmark: a name on the command line, a table in the report. */
export interface Benchmark {
  readonly title: string;
  run(context: Context): Promise<readonly Result[]>;
}

/** Loaded only where it runs. */
export interface Entry {
  load(): Promise<Benchmark>;
  /** Flags of the process it runs in, e.g. a heap. */
  readonly nodeFlags?: readonly string[];
  /** Takes longer than all the others: runs only where it is named. */
  readonly isOnlyIfAsked?: boolean;
}

export interface Context {
  readonly pace: Pace;
  /** A fraction of the usual sizes, for trying out: figures mean nothing then. */
  readonly isQuick: boolean;
}
