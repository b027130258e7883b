/** Results as tables, and the file they are kept in. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Result } from "./compare.ts";
import { judge } from "./goals.ts";
import type { Machine } from "./machine.ts";

export interface Report {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly command: string;
  readonly seconds: number;
  readonly titles: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

/** What stands behind this line in the file is written by hand, and kept. */
const KEPT = "<!-- Written by hand from here on; `npm run bench -- --markdown` keeps it. -->";

export function writeReport(file: string, report: Report): void {
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  const at = before.indexOf(KEPT);
  const kept = at < 0 ? `${KEPT}\n` : before.slice(at);
  writeFileSync(file, `${markdownOf(report)}\n${kept}`);
}

function markdownOf({ machine, versions, command, seconds, titles, results }: Report): string {
  const names = [...new Set(results.map(({ bench }) => bench))];
  return `# Results

\`${command}\`, ${Math.round(seconds / 60)} minutes, on ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGb} GB, ${machine.system}, load ${machine.load} at the end. Absolute figures are only rough; ratios are medians of rounds in which all took turns.

${Object.entries(versions)
  .map(([name, version]) => `${name} ${version}`)
  .join(", ")}.

${names
  .map((name) =>
    tablesOf(
      name,
      titles[name] ?? "",
      results.filter(({ bench }) => bench === name),
    ),
  )
  .join("\n\n")}
`;
}

/** Which goals there are for what was measured, and which are met. */
export function goalsOf(results: readonly Result[]): string {
  const rows = judge(results).map(({ text, wanted, measured, isMet }) => [
    text,
    wanted,
    figure(measured),
    isMet ? "met" : "missed",
  ]);
  return `## Goals\n\n${table(["goal", "wanted", "measured", ""], rows)}`;
}

/** One table for each set of parameters. */
export function tablesOf(name: string, title: string, results: readonly Result[]): string {
  const groups = Map.groupBy(results, ({ params }) => paramsText(params));
  const tables = [...groups].map(
    ([params, group]) => `${params === "" ? "" : `${params}:\n\n`}${tableOf(group)}`,
  );
  return `## ${name}\n\n${title}.\n\n${tables.join("\n\n")}`;
}

function tableOf(results: readonly Result[]): string {
  const more = [...new Set(results.flatMap((result) => Object.keys(result.more ?? {})))];
  const first = results[0]?.subject ?? "";
  const hasRates = results.some(({ opsPerSecond, p50Us }) => opsPerSecond > 0 || p50Us > 0);
  const rates = hasRates ? ["per second", "p50 µs", "p99 µs", "CPU µs", "spread", `${first} is`] : [];
  const rows = results.map((result) => [
    result.subject,
    ...(hasRates ? ratesOf(result, results[0]) : []),
    ...more.map((column) => cell(result.more?.[column])),
  ]);
  return table(["", ...rates, ...more], rows);
}

function ratesOf(result: Result, first: Result | undefined): string[] {
  const ratio = first === result ? undefined : first?.ratios[result.subject];
  return [
    figure(result.opsPerSecond),
    figure(result.p50Us),
    figure(result.p99Us),
    figure(result.cpuUs),
    Number.isFinite(result.spread) ? `${Math.round(result.spread * 100)} %` : "",
    ratio === undefined ? "" : `${figure(ratio)} ×`,
  ];
}

function cell(value: number | string | undefined): string {
  return typeof value === "number" ? figure(value) : (value ?? "");
}

/** Three digits that mean something. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return "";
  if (Math.abs(value) >= 1_000) return Math.round(Number(value.toPrecision(4))).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

function paramsText(params: Result["params"]): string {
  return Object.entries(params)
    .map(([name, value]) => `${name} ${cell(value)}`)
    .join(", ");
}

/** Padded as the formatter wants it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => text[column === 0 ? "padEnd" : "padStart"](widths[column] ?? 0)).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(head), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n");
}
