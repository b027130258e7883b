/** The part of node-postgres (`pg` 8) that is used. Shapes only: the pool is the caller's, and its library too. */

/** Gives the function that makes a value out of what the server has sent. */
export interface PgTypes {
  getTypeParser(oid: number, format?: unknown): (value: never) => unknown;
}

/** A statement as `client.query` takes it. */
export interface PgQuery {
  /** SQL with `$1`, `$2`, … for values. */
  readonly text: string;
  /** One for each placeholder. */
  readonly values?: unknown[];
  /** Prepared once for each connection under this name. */
  readonly name?: string;
  /** How long to wait for its answer, ms. */
  readonly query_timeout?: number;
  /** How results are read, whatever the program has told `pg` to do with its own. */
  readonly types?: PgTypes;
}

/** What one statement brought. */
export interface PgResult {
  /** By column name. */
  readonly rows: Record<string, unknown>[];
  /** Rows written, or read. */
  readonly rowCount: number | null;
}

/** A connection taken from the pool. */
export interface PgClient {
  /** Runs one statement. */
  query(query: PgQuery): Promise<PgResult>;
  /** Gives it back; with `true` it is closed instead. */
  release(destroy?: boolean): void;
  /** Calls back for each notification, or when the connection fails or ends. */
  on(event: "notification", listener: (message: { readonly payload?: string | undefined }) => void): unknown;
  on(event: "error" | "end", listener: () => void): unknown;
  /** Forgets a listener. */
  removeListener(event: "error", listener: () => void): unknown;
  /** Lets the process end although the connection is open. */
  unref?(): void;
}

/** A `pg.Pool`, made, configured and ended by the caller. */
export interface PgPool {
  /** What the pool was made with. */
  readonly options?: { readonly query_timeout?: number | false | undefined };
  /** Takes a connection, or waits for one. */
  connect(): Promise<PgClient>;
  /** Calls back when a connection that nobody uses fails. */
  on(event: "error", listener: () => void): unknown;
  /** Forgets a listener. */
  removeListener(event: "error", listener: () => void): unknown;
}
