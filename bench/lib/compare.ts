/**
 * Measures subjects side by side: in one process, turn by turn, several rounds. What disturbs the machine
 * disturbs a round of all of them, so that ratios are taken round by round and absolute figures are only rough.
 */
import { median, percentile, spreadOf } from "./statistics.ts";

/** Something that can be awaited again and again. */
export interface Subject {
  readonly name: string;
  /** One operation, awaited. `index` counts the operations of this subject. */
  readonly operation: (index: number) => Promise<unknown>;
  /** Something else that goes up with them, e.g. calls to a provider. */
  readonly count?: () => number;
}

/** A subject in a process of its own, which makes its rounds there. */
export interface RemoteSubject {
  readonly name: string;
  readonly round: (callers: number, ms: number) => Promise<Round>;
}

export interface Comparison {
  readonly bench: string;
  readonly params: Readonly<Record<string, string | number>>;
  readonly subjects: readonly (Subject | RemoteSubject)[];
  /** Operations under way at a time. Default 1: each is awaited before the next begins. */
  readonly callers?: number;
  readonly pace: Pace;
}

/** How long things take. */
export interface Pace {
  readonly rounds: number;
  /** Of each subject in each round, ms. */
  readonly roundMs: number;
  /** Of each subject before the first round, ms. */
  readonly warmupMs: number;
}

/** One row of the answer. Throughput by the wall clock, latency as seen by one caller. */
export interface Result {
  readonly bench: string;
  readonly subject: string;
  readonly params: Readonly<Record<string, string | number>>;
  readonly opsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly rounds: number;
  /** Between the slowest and the fastest round, as a part of the median. */
  readonly spread: number;
  /** CPU time of the whole process per operation, µs: what a busy machine changes least. */
  readonly cpuUs: number;
  /** How many times as fast as the others; the median of the rounds. */
  readonly ratios: Readonly<Record<string, number>>;
  /** Anything else that was counted, by name and unit. */
  readonly more?: Readonly<Record<string, number | string>>;
}

/** What one subject did in one round. */
export interface Round {
  readonly operations: number;
  /** By how much {@link Subject.count} went up. */
  readonly counted: number;
  readonly opsPerSecond: number;
  readonly cpuUs: number;
  readonly latenciesUs: readonly number[];
}

/** Clocks are read once per so many operations, and one operation in so many is timed by itself. */
const CHECK_EVERY = 16;
const MOST_LATENCIES = 20_000;
const MOST_WARMUPS = 5;

export async function compare(comparison: Comparison): Promise<Result[]> {
  const { subjects, callers = 1, pace } = comparison;
  const runners = subjects.map(runnerOf);
  for (const runner of runners) await warmUp(runner, callers, pace.warmupMs);
  for (let round = 0; round < pace.rounds; round += 1) {
    // Whoever comes behind a wasteful neighbour changes from round to round.
    for (const runner of rotated(runners, round)) {
      collectGarbage();
      runner.rounds.push(await runner.round(callers, pace.roundMs));
    }
  }
  return runners.map((runner) => resultOf(comparison, runner, runners));
}

interface Runner extends RemoteSubject {
  readonly rounds: Round[];
}

function runnerOf(subject: Subject | RemoteSubject): Runner {
  const { name } = subject;
  const round = "round" in subject ? subject.round : roundsOf(subject);
  return { name, round, rounds: [] };
}

/** On a busy machine code takes longer to be compiled: it is warm after so much CPU time, not after so much time. */
async function warmUp({ round }: Runner, callers: number, ms: number): Promise<void> {
  let spentMs = 0;
  for (let turn = 0; turn < MOST_WARMUPS && spentMs < ms / 2; turn += 1) {
    const { cpuUs, operations } = await round(callers, ms);
    spentMs += (cpuUs * operations) / 1_000;
  }
}

/** Rounds of one subject in this process; its operations are counted through all of them. */
export function roundsOf({ operation, count = () => 0 }: Subject): RemoteSubject["round"] {
  const counter = { next: 0 };
  return async (callers, ms) => {
    const latenciesUs: number[] = [];
    const cpu = process.cpuUsage();
    const countBefore = count();
    const startedAt = performance.now();
    const call = (): Promise<number> => callOneByOne(operation, counter, startedAt + ms, latenciesUs);
    const counts = callers === 1 ? [await call()] : await Promise.all(Array.from({ length: callers }, call));
    const seconds = (performance.now() - startedAt) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    const operations = counts.reduce((sum, count) => sum + count, 0);
    const cpuUs = (user + system) / operations;
    const counted = count() - countBefore;
    return { operations, counted, opsPerSecond: operations / seconds, cpuUs, latenciesUs };
  };
}

async function callOneByOne(
  operation: Subject["operation"],
  counter: { next: number },
  until: number,
  latenciesUs: number[],
): Promise<number> {
  let count = 0;
  for (;;) {
    const startedAt = performance.now();
    if (startedAt >= until) return count;
    await operation(counter.next++);
    const tookMs = performance.now() - startedAt;
    count += 1;
    if (latenciesUs.length < MOST_LATENCIES) latenciesUs.push(tookMs * 1_000);
    // Where an operation takes as long as reading the clock, the clock is read seldom.
    if (tookMs > 0.05) continue;
    for (let more = 1; more < CHECK_EVERY; more += 1) await operation(counter.next++);
    count += CHECK_EVERY - 1;
  }
}

function resultOf({ bench, params, pace }: Comparison, runner: Runner, all: readonly Runner[]): Result {
  const rates = runner.rounds.map(({ opsPerSecond }) => opsPerSecond);
  const latencies = runner.rounds.flatMap(({ latenciesUs }) => latenciesUs).toSorted((a, b) => a - b);
  const ratioTo = (other: Runner): number =>
    median(rates.map((rate, round) => rate / other.rounds[round]!.opsPerSecond));
  return {
    bench,
    subject: runner.name,
    params,
    opsPerSecond: median(rates),
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
    rounds: pace.rounds,
    spread: spreadOf(rates),
    cpuUs: median(runner.rounds.map(({ cpuUs }) => cpuUs)),
    ratios: Object.fromEntries(
      all.filter((other) => other !== runner).map((other) => [other.name, ratioTo(other)]),
    ),
  };
}

function rotated<T>(list: readonly T[], by: number): T[] {
  const at = by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/** Nobody pays for what another has thrown away. Present with `--expose-gc`. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
