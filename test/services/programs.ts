/** Where the servers that tests start come from: the variable that names one, else the search path. */
import { findProgram, PROGRAMS } from "../../scripts/lib/programs.ts";

/** @returns its file; `undefined` if it is not here: `npm test` then says what is left out, and how to bring it */
export function serverProgram(name: string): string | undefined {
  const program = PROGRAMS.find((candidate) => candidate.name === name);
  if (!program) throw new Error(`no program is called ${name}`);
  return findProgram(program);
}
