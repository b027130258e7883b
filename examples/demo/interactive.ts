/** The demonstration for a person with a browser. */
import { createInterface } from "node:readline";
import { openDataFolder } from "./data-folder.ts";
import { createProcesses, type Child, type Processes } from "./processes.ts";
import { startServices } from "./services.ts";
import { prepareStore, type StoreKind } from "./store.ts";

export interface InteractiveOptions {
  readonly port: number;
  readonly dataPath: string;
  readonly store: StoreKind;
  readonly print: (line: string) => void;
}

/** MSAL renews what has less than five minutes left: with six one sees a renewal every minute. */
const ACCESS_TOKEN_SECONDS = 360;
const WORKER_INTERVAL_MS = Number(process.env["WORKER_INTERVAL_MS"] ?? 20_000);

/** Starts everything and runs until it is told to stop. */
export async function runInteractive(options: InteractiveOptions): Promise<void> {
  const { print } = options;
  const data = openDataFolder(options.dataPath);
  const store = await prepareStore(options.store, data);
  const services = await startServices(ACCESS_TOKEN_SECONDS);
  const processes = createProcesses(services, data, store, (child, line) =>
    print(`${child.padEnd(7)} | ${line}`),
  );
  const told = stopSignal();
  try {
    const web = await processes.startWebApp(options.port);
    const worker = await processes.startWorker(WORKER_INTERVAL_MS);
    print(`
tokenkeep demonstration

  Web app     ${web.origin}   <- open this and sign in
  Authority   ${services.authorityUrl}   the identity provider; there are no passwords
  Notes API   ${services.notesApiUrl}/profile   called by the web app and the worker
  Worker      process ${worker.pid}, every ${WORKER_INTERVAL_MS / 1000} seconds, for everybody who has signed in
  Data        ${data.path}

  Access tokens live ${ACCESS_TOKEN_SECONDS / 60} minutes and are renewed with 5 minutes left. The authority forgets its
  sign-ins when it ends: who signed in during an earlier run is asked to sign in again.

  w + Enter   stop or start the web app, to see the worker go on
  Ctrl+C      stop everything
`);
    const stopping = new AbortController();
    void told.then(() => stopping.abort());
    void worker.ended.then((how) => stopping.signal.aborted || print(`the worker has ended (${how})`));
    onCommand("w", webSwitch(processes, web, print));
    await told;
  } finally {
    await processes.stopAll();
    await services.close();
    await store.stop();
  }
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  });
}

/** Stops the web app, starts it again, and so on. */
function webSwitch(processes: Processes, first: Child, print: (line: string) => void): () => Promise<void> {
  const port = Number(new URL(first.origin).port);
  let web: Child | undefined = first;
  return async () => {
    if (web) {
      const stopping = web;
      web = undefined;
      await stopping.stop();
      print("the web app is stopped; w + Enter starts it again");
    } else {
      web = await processes.startWebApp(port);
    }
  };
}

/** Runs `work` whenever somebody types `command`, one after the other. */
function onCommand(command: string, work: () => Promise<void>): void {
  let last: Promise<void> = Promise.resolve();
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    if (line.trim() === command) {
      last = last.then(work).catch((error: unknown) => console.error((error as Error).message));
    }
  });
  process.stdin.unref?.();
}
