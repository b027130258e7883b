/** One benchmark in a process of its own: its neighbours' heap and compiled code are none of its business. */
import { BENCHES } from "./benches/index.ts";
import type { Context } from "./lib/benchmark.ts";
import type { Result } from "./lib/compare.ts";

/** What the process tells the one that started it. */
export interface Outcome {
  readonly title: string;
  readonly results: readonly Result[];
}

const [name = "", text = "{}"] = process.argv.slice(2);
const entry = BENCHES[name];
if (!entry) throw new Error(`there is no benchmark ${name}`);
const { title, run } = await entry.load();
const outcome: Outcome = { title, results: await run(JSON.parse(text) as Context) };
process.send?.(outcome, () => process.disconnect());
