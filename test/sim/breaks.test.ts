import { expect, test } from "vitest";
import { BREAK_NAMES, rewrittenSources } from "../../sim/breaks.ts";

test.each(BREAK_NAMES)("what the break %j rewrites is still in the source", (name) => {
  const sources = rewrittenSources(name);
  if (name !== "compare-and-swap") expect(sources).not.toHaveLength(0);
});
