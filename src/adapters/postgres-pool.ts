/** The part of node-postgres (`pg` 8) that is used. Shapes only: the pool is the caller's, and its library too. */

/** Gives the function that makes a value out of what the server has sent. */
export interface PgTypes {
  getTypeParser(oid: number, format?: unknown): (value: never) => unknown;
}

/** A statement as `client.query` takes it. */
export interface PgQuery {
  readonly text: string;
  readonly values?: unknown[];
  /** Prepared once for each connection under this name. */
  readonly name?: string;
  /** How results are read, whatever the program has told `pg` to do with its own. */
  readonly types?: PgTypes;
}

export interface PgResult {
  readonly rows: Record<string, unknown>[];
  readonly rowCount: number | null;
}

/** A connection taken from the pool. */
export interface PgClient {
  query(query: PgQuery): Promise<PgResult>;
  /** Gives it back; with `true` it is closed instead. */
  release(destroy?: boolean): void;
  on(event: "notification", listener: (message: { readonly payload?: string | undefined }) => void): unknown;
  on(event: "error" | "end", listener: () => void): unknown;
  removeListener(event: "error", listener: () => void): unknown;
  unref?(): void;
}

/** A `pg.Pool`, made, configured and ended by the caller. */
export interface PgPool {
  connect(): Promise<PgClient>;
  on(event: "error", listener: () => void): unknown;
  removeListener(event: "error", listener: () => void): unknown;
}
