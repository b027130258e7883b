/** The worker as a process of its own: runs on a schedule, or once with `--once`, or when its parent asks. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { AccountRef } from "../../src/index.ts";
import { onStop, startOrExplain, tellParent } from "../demo/child.ts";
import { readSettings } from "../settings.ts";
import { createWorker, reasonOf, type AccountReport, type Worker } from "./worker.ts";

/** What the parent may ask for: everybody's turn, or one account's. */
export interface RunRequest {
  readonly type: "run";
  readonly account?: AccountRef;
}

await startOrExplain(async () => {
  const { values } = parseArgs({ options: { once: { type: "boolean", default: false } } });
  const intervalMs = Number(process.env["WORKER_INTERVAL_MS"] ?? 60_000);
  const worker = createWorker(readSettings());
  if (values.once) {
    const reports = await worker.run();
    print(1, reports);
    await worker.close();
    process.exitCode = reports.some(({ outcome }) => outcome === "failed") ? 1 : 0;
  } else {
    await keepRunning(worker, intervalMs);
  }
});

/** On a schedule (with an interval of 0: never) and whenever the parent asks; one run after the other. */
async function keepRunning(worker: Worker, intervalMs: number): Promise<void> {
  const stopping = new AbortController();
  let runs = 0;
  let last: Promise<unknown> = Promise.resolve();
  const takeTurn = (work: () => Promise<AccountReport[]>): Promise<AccountReport[]> => {
    const turn = last.then(work).then((reports) => {
      print(++runs, reports);
      return reports;
    });
    last = turn.catch(() => undefined);
    return turn;
  };

  process.on("message", ({ account }: RunRequest) => {
    takeTurn(account ? async () => [await worker.actFor(account)] : worker.run).then(
      (reports) => tellParent({ type: "report", reports }),
      (error: unknown) => tellParent({ type: "run-failed", message: reasonOf(error) }),
    );
  });
  onStop(async () => {
    stopping.abort();
    await last;
    await worker.close();
  });
  tellParent({ type: "ready" });

  for (let woken = false; intervalMs > 0 && !stopping.signal.aborted; woken = true) {
    try {
      const reports = await takeTurn(worker.run);
      if (woken) tellParent({ type: "woke", reports });
    } catch (error) {
      // A store that is down is no reason to give up: the next run finds it again.
      console.error(`run failed: ${reasonOf(error)}`);
    }
    await sleep(intervalMs, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
}

function print(run: number, reports: readonly AccountReport[]): void {
  const served = reports.filter(({ outcome }) => outcome === "served").length;
  const left = reports.filter(({ outcome }) => outcome === "benched").length;
  console.log(`run ${run}: served ${served} of ${reports.length - left}${left ? `, benched ${left}` : ""}`);
  for (const { account, outcome, detail } of reports) {
    console.log(`  ${outcome.padEnd(8)} ${account.username.padEnd(24)} ${detail}`);
  }
}
