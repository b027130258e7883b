/** What an operator should know about the server and the tables. */
import { schemaProblem, SCHEMA_VERSION } from "./postgres-schema.ts";
import type { Connection } from "./postgres-connection.ts";
import type { Finding } from "../store/blob-store.ts";

const SETTINGS = `SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS is_replica,
current_setting('default_transaction_isolation') AS isolation, current_setting('statement_timeout') AS statement_timeout`;

/** Findings on the server's settings and the schema. Changes nothing. */
export async function inspectServer({ query, names }: Connection): Promise<Finding[]> {
  const found = (await query(SETTINGS)).rows[0] ?? {};
  const text = (name: string): string => String(found[name]);
  const problem = await schemaProblem(names, query);
  const findings: (Finding | false)[] = [
    problem === undefined
      ? finding("info", "schema", `schema version ${SCHEMA_VERSION}`)
      : finding("error", "schema", problem),
    finding("info", "server-version", `PostgreSQL ${text("version")}`),
    text("encoding") !== "UTF8" &&
      finding(
        "error",
        "encoding",
        `the database's encoding is ${text("encoding")}; keys and names need UTF8`,
      ),
    found["is_replica"] === true &&
      finding("error", "read-only", "the pool leads to a replica, which takes no writes"),
    ...durability(text),
    text("isolation") !== "read committed" &&
      finding(
        "warning",
        "isolation",
        `default_transaction_isolation is ${text("isolation")}, so that conflicts end in errors; use read committed`,
      ),
    text("statement_timeout") === "0" &&
      finding(
        "warning",
        "statement-timeout",
        "statement_timeout is off: a statement that was given up may go on for as long as it likes; " +
          "run: ALTER ROLE … SET statement_timeout = '5s'",
      ),
  ];
  return findings.filter((each) => each !== false);
}

function durability(text: (name: string) => string): Finding[] {
  const off = ["fsync", "full_page_writes"].filter((setting) => text(setting) === "off");
  if (off.length > 0) {
    const message = `${off.join(" and ")} off: after a crash of the server the database may be damaged`;
    return [finding("error", "durability", message)];
  }
  if (text("synchronous_commit") === "off") {
    const message =
      "synchronous_commit is off: the last writes, sign-outs among them, may be lost by a crash";
    return [finding("warning", "durability", message)];
  }
  return [finding("info", "durability", "an acknowledged write survives a power failure of the server")];
}

function finding(severity: Finding["severity"], code: string, message: string): Finding {
  return { severity, code, message };
}
