/** Everything that left the process during a drive, sorted by the way it took. */
import { inspect } from "node:util";
import type { Haystack } from "../../examples/demo/scan.ts";
import type { Store } from "../../src/store/store.ts";

export interface Tape {
  /** Bytes as they are; texts as they are; anything else in every way in which a program may print it. */
  note(where: string, ...what: unknown[]): void;
  /** One for each way. */
  haystacks(): Haystack[];
}

export function createTape(): Tape {
  const ways = new Map<string, Buffer[]>();
  return {
    note(where, ...what) {
      const kept = ways.get(where) ?? [];
      ways.set(where, kept);
      for (const value of what) kept.push(...writings(value), Buffer.from("\n"));
    },
    haystacks: () => [...ways].map(([name, parts]) => ({ name, bytes: Buffer.concat(parts) })),
  };
}

const EVERYTHING = {
  depth: Infinity,
  showHidden: true,
  maxArrayLength: null,
  maxStringLength: null,
} as const;

function writings(value: unknown): Buffer[] {
  if (value instanceof Uint8Array) return [Buffer.from(value)];
  if (typeof value === "string") return [Buffer.from(value)];
  return [Buffer.from(inspect(value, EVERYTHING)), Buffer.from(json(value)), ...causes(value)];
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return "";
  }
}

/** What loggers take out of an error by name, and of all that caused it. */
function causes(value: unknown): Buffer[] {
  const written: Buffer[] = [];
  for (let error = value; error instanceof Error; error = error.cause) {
    written.push(Buffer.from(`${error.name} ${error.message} ${error.stack} ${String(error)}`));
    written.push(Buffer.from(json(Object.fromEntries(Object.entries(error)))));
  }
  return written;
}

/** The store, with everything that is said to it on the tape: keys, bytes, rows, leases and messages. */
export function tapStore(inner: Store, tape: Tape): Store {
  const { backplane, lease, activity } = inner;
  const tapped = <P extends object>(port: P, name: string, methods: readonly (keyof P & string)[]): P => {
    const wrapped = Object.fromEntries(
      methods.map((method) => [
        method,
        (...given: unknown[]) => {
          tape.note(name, method, ...given);
          return (port[method] as (...given: unknown[]) => unknown)(...given);
        },
      ]),
    );
    return { ...port, ...wrapped };
  };
  return {
    ...tapped(inner, "what is said to the store", ["get", "put", "touch", "delete"]),
    ...(backplane && {
      backplane: tapped(backplane, "messages to other processes", ["changeCounter", "publish", "subscribe"]),
    }),
    ...(lease && { lease: tapped(lease, "leases", ["acquire", "renew", "release"]) }),
    ...(activity && { activity: tapped(activity, "activity rows", ["get", "put", "delete", "list"]) }),
  };
}

/** What is printed, by whomever, until it is given back. */
export function tapConsole(tape: Tape): () => void {
  const streams = [process.stdout, process.stderr];
  const originals = streams.map((stream) => stream.write.bind(stream));
  streams.forEach((stream, index) => {
    stream.write = ((...given: Parameters<typeof stream.write>) => {
      tape.note("console", given[0]);
      return originals[index]!(...given);
    }) as typeof stream.write;
  });
  const onWarning = (warning: Error): void => tape.note("console", warning);
  process.on("warning", onWarning);
  return () => {
    streams.forEach((stream, index) => void (stream.write = originals[index]! as typeof stream.write));
    process.off("warning", onWarning);
  };
}
