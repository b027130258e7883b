/** A mark on what a store handed out. Not for stores: for what stands in front of one, where names hide things. */
export interface Outdated {
  /** `rekey` is to write it anew, although it is sealed under today's key. */
  readonly outdated?: true;
}

export function isOutdated(found: object): boolean {
  return (found as Outdated).outdated === true;
}
