/** What happened, one line an entry, in the order in which it happened. Two runs of one seed give equal lines. */

export interface History {
  readonly lines: readonly string[];
  add(text: string): void;
}

export function createHistory(position: () => { readonly steps: number; readonly nowMs: number }): History {
  const lines: string[] = [];
  return {
    lines,
    add(text) {
      const { steps, nowMs } = position();
      lines.push(`${String(steps).padStart(6)} ${(nowMs / 1000).toFixed(3).padStart(12)}s  ${text}`);
    },
  };
}
