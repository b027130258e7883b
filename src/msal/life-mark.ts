/**
 * `ICacheClient` is told nothing about the memory it speaks of. So the memory itself is marked: an app metadata
 * entry of an application that does not exist says which life of a partition was loaded into it. MSAL keeps such
 * an entry in memory as it keeps tokens, also where a later load finds nothing (msal-node 7.2.1), and hands it
 * back with them. A refresh whose user signed out meanwhile is told by it from a new sign-in.
 */
import type { CacheBlob } from "../blob/entities.ts";

/** One state of one life of a partition. */
export interface Life {
  readonly incarnation: string;
  readonly seq: number;
}

const ENVIRONMENT = "tokenkeep.invalid";
const CLIENT_ID = /^tokenkeep-life-(\d+)-(.+)$/;

export function withLife(blob: CacheBlob, { incarnation, seq }: Life): CacheBlob {
  const clientId = `tokenkeep-life-${seq}-${incarnation}`;
  const key = `appmetadata-${ENVIRONMENT}-${clientId}`;
  const mark = { client_id: clientId, environment: ENVIRONMENT };
  return { ...blob, AppMetadata: { ...blob.AppMetadata, [key]: mark } };
}

export function livesIn(blob: CacheBlob): Life[] {
  return Object.values(blob.AppMetadata).flatMap(({ environment, client_id: clientId }) => {
    const [, seq, incarnation] = (environment === ENVIRONMENT && CLIENT_ID.exec(clientId)) || [];
    return incarnation === undefined ? [] : [{ incarnation, seq: Number(seq) }];
  });
}

export function withoutLives(blob: CacheBlob): CacheBlob {
  const entries = Object.entries(blob.AppMetadata).filter(
    ([, { environment }]) => environment !== ENVIRONMENT,
  );
  return { ...blob, AppMetadata: Object.fromEntries(entries) };
}
