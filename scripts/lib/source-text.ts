/** Enough of a scanner to tell code from comments and literals. Every offset of the text stays what it was. */

export type Blanked = "comments" | "comments and literals";

const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/y;
const REGEX = /\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
/** What follows a backtick, or the brace that ends a substitution. */
const TEMPLATE_PART = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{|$)/y;
const WORD_BEFORE_REGEX =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|await|yield|void|throw|else|do|new|delete)$/;

/** `source` with comments, or comments and literals, replaced by spaces. Code inside templates is kept. */
export function blank(source: string, what: Blanked): string {
  const pieces: string[] = [];
  // One entry for each template we are inside of: how many braces its substitution has open.
  const substitutions: number[] = [];
  let at = 0;

  const take = (end: number, blanked: boolean): void => {
    const piece = source.slice(at, end);
    pieces.push(blanked ? piece.replace(/[^\n]/g, " ") : piece);
    at = end;
  };
  const takeTemplatePart = (): void => {
    const end = matchEnd(TEMPLATE_PART, source, at + 1) ?? source.length;
    if (source.startsWith("${", end - 2)) substitutions.push(0);
    take(end, what !== "comments");
  };

  while (at < source.length) {
    const char = source[at];
    const depth = substitutions.at(-1);
    const comment = char === "/" ? matchEnd(COMMENT, source, at) : undefined;
    const literal = literalEnd(source, at, pieces);
    if (comment !== undefined) take(comment, true);
    else if (literal !== undefined) take(literal, what !== "comments");
    else if (char === "`") takeTemplatePart();
    else if (char === "}" && depth === 0) {
      substitutions.pop();
      takeTemplatePart();
    } else {
      if (depth !== undefined && char === "{") substitutions[substitutions.length - 1] = depth + 1;
      if (depth !== undefined && char === "}") substitutions[substitutions.length - 1] = depth - 1;
      take(at + 1, false);
    }
  }
  return pieces.join("");
}

function literalEnd(source: string, at: number, before: readonly string[]): number | undefined {
  const char = source[at];
  if (char === '"' || char === "'") return matchEnd(STRING, source, at);
  if (char === "/" && mayStartRegex(before.slice(-40).join(""))) return matchEnd(REGEX, source, at);
  return undefined;
}

/** After a value a slash divides; anywhere else it starts a regular expression. */
function mayStartRegex(before: string): boolean {
  const code = before.trimEnd();
  return !/[\w$)\]}"'`]$/.test(code) || WORD_BEFORE_REGEX.test(code);
}

function matchEnd(sticky: RegExp, source: string, at: number): number | undefined {
  sticky.lastIndex = at;
  return sticky.test(source) ? sticky.lastIndex : undefined;
}

/** The line that `offset` is on, from 1. */
export function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}
