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
}

export interface Comparison {
  readonly bench: string;
  readonly params: Readonly<Record<string, string | number>>;
  readonly subjects: readonly Subject[];
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

interface Round {
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
  const rounds = new Map<Subject, Round[]>(subjects.map((subject) => [subject, []]));
  const counters = new Map<Subject, { next: number }>(subjects.map((subject) => [subject, { next: 0 }]));
  for (const subject of subjects) await warmUp(subject, counters.get(subject)!, callers, pace.warmupMs);
  for (let round = 0; round < pace.rounds; round += 1) {
    // Whoever comes behind a wasteful neighbour changes from round to round.
    for (const subject of rotated(subjects, round)) {
      collectGarbage();
      rounds.get(subject)!.push(await run(subject, counters.get(subject)!, callers, pace.roundMs));
    }
  }
  return subjects.map((subject) => resultOf(comparison, subject, rounds));
}

/** On a busy machine code takes longer to be compiled: it is warm after so much CPU time, not after so much time. */
async function warmUp(
  subject: Subject,
  counter: { next: number },
  callers: number,
  ms: number,
): Promise<void> {
  const cpu = process.cpuUsage();
  for (let turn = 0; turn < MOST_WARMUPS; turn += 1) {
    await run(subject, counter, callers, ms);
    const { user, system } = process.cpuUsage(cpu);
    if ((user + system) / 1_000 >= ms / 2) return;
  }
}

async function run(subject: Subject, counter: { next: number }, callers: number, ms: number): Promise<Round> {
  const latenciesUs: number[] = [];
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + ms;
  const counts =
    callers === 1
      ? [await callOneByOne(subject, counter, until, latenciesUs)]
      : await Promise.all(
          Array.from({ length: callers }, () => callOneByOne(subject, counter, until, latenciesUs)),
        );
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const operations = counts.reduce((sum, count) => sum + count, 0);
  return { opsPerSecond: operations / seconds, cpuUs: (user + system) / operations, latenciesUs };
}

async function callOneByOne(
  { operation }: Subject,
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

function resultOf(
  { bench, params, subjects, pace }: Comparison,
  subject: Subject,
  rounds: ReadonlyMap<Subject, readonly Round[]>,
): Result {
  const own = rounds.get(subject)!;
  const rates = own.map(({ opsPerSecond }) => opsPerSecond);
  const latencies = own.flatMap(({ latenciesUs }) => latenciesUs).toSorted((a, b) => a - b);
  return {
    bench,
    subject: subject.name,
    params,
    opsPerSecond: median(rates),
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
    rounds: pace.rounds,
    spread: spreadOf(rates),
    cpuUs: median(own.map(({ cpuUs }) => cpuUs)),
    ratios: Object.fromEntries(
      subjects
        .filter((other) => other !== subject)
        .map((other) => [
          other.name,
          median(rates.map((rate, round) => rate / rounds.get(other)![round]!.opsPerSecond)),
        ]),
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
