/** Marks on a listing. Not for stores: for what stands in front of one, where names hide things. */

/** On a page: so much of it cannot be opened here, and has been left out, with an event each. */
export interface Unopened {
  readonly unopened?: number;
}

/** In a query for rows: what cannot be opened here is counted, and is no reason for the listing to end in an error. */
export interface CountsUnopened {
  readonly countsUnopened?: true;
}

export function unopenedOf(page: object): number {
  return (page as Unopened).unopened ?? 0;
}

export function countsUnopened(query: object): boolean {
  return (query as CountsUnopened).countsUnopened === true;
}
