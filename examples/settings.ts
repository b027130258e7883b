/** What the web app and the worker are told from outside. `npm start` sets all of it. */
import type { ConfidentialClientOptions } from "../src/index.ts";

export interface Settings {
  /** The `auth` part of MSAL's configuration; `MSAL_AUTH` holds it as JSON. */
  readonly auth: ConfidentialClientOptions["auth"];
  /** Where the store is that web app and worker share, see store.ts: `TOKENKEEP_STORE`. */
  readonly store: string;
  /** The file with the keys that seal it: `TOKENKEEP_KEY_FILE`. */
  readonly keyFile: string;
  /** Where the downstream API is: `NOTES_API_URL`. */
  readonly notesApiUrl: string;
}

/** What a user consents to: reading notes. */
export const NOTES_SCOPES = ["api://notes/read"];

export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  return {
    auth: JSON.parse(required(env, "MSAL_AUTH")) as Settings["auth"],
    store: required(env, "TOKENKEEP_STORE"),
    keyFile: required(env, "TOKENKEEP_KEY_FILE"),
    notesApiUrl: required(env, "NOTES_API_URL"),
  };
}

/** A setting that must be there. */
export function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value === undefined || value === "") {
    throw new Error(`${name} is not set; \`npm start\` sets it, see examples/demo/processes.ts`);
  }
  return value;
}
