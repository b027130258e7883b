/** What the tiers ask of a store's records, with what a failed or doubtful answer means. */
import type { BlobStore, Stored, Version } from "../store/blob-store.ts";
import type { StoreCalls } from "./store-calls.ts";
import type { TierPutOptions } from "./tiers.ts";

/** What lies under a key after a write, whoever's it is. */
export interface Landed {
  readonly current: Stored | undefined;
  /** The answer was lost, and what lies there is neither ours nor what we compared with. */
  readonly uncertain?: true;
}

export interface RecordCalls {
  /** @throws retryable `TokenkeepError` */
  get(key: string, how: GetHow): Promise<Stored | "unchanged" | undefined>;
  /**
   * Writes, and finds out by reading what became of it where the answer does not say.
   * @throws retryable `TokenkeepError` if that cannot be established
   */
  put(key: string, bytes: Uint8Array, how: TierPutOptions & { readonly version: Version }): Promise<Landed>;
}

interface GetHow {
  readonly unlessVersion?: string | undefined;
  readonly withExpiry?: boolean;
  /** Default: that of every reading. */
  readonly budgetMs?: number;
  /** See {@link CallOptions.isPatient}. */
  readonly isPatient?: boolean;
}

export function createRecordCalls(store: BlobStore, calls: StoreCalls): RecordCalls {
  function get(key: string, how: GetHow): Promise<Stored | "unchanged" | undefined> {
    const { unlessVersion, withExpiry } = how;
    const options =
      unlessVersion === undefined && withExpiry === undefined
        ? PLAIN
        : {
            ...(unlessVersion !== undefined && { unlessVersion }),
            ...(withExpiry !== undefined && { withExpiry }),
          };
    return calls.run<Answer>("reads", "get", () => store.get(key, options), {
      ...how,
      answered: unlessVersion === undefined ? checkedRecord : checkedAnswer,
    });
  }

  async function current(key: string): Promise<Stored | undefined> {
    return (await get(key, {})) as Stored | undefined;
  }

  return {
    get,
    async put(key, bytes, how) {
      let failure: unknown;
      const call = new AbortController();
      const options = { ...how, signal: call.signal };
      try {
        const result = await calls.run("writes", "put", () => store.put(key, bytes, options));
        if (result.stored) return { current: { bytes, version: how.version } };
        return { current: result.current ?? (await current(key)) };
      } catch (error) {
        failure = error;
        // Where it still waits, for a lock or a connection, it is not to come to life any more.
        call.abort();
      }
      // The write may have landed although its answer did not: only the version that is there can tell.
      const there = await current(key).catch(() => Promise.reject(failure as Error));
      if ((there?.version ?? null) === how.ifVersion) throw failure;
      return { current: there, uncertain: true };
    },
  };
}

type Answer = Stored | "unchanged" | undefined;

const PLAIN = Object.freeze({});

function checkedAnswer(answer: Answer): Answer {
  return answer === "unchanged" ? answer : checkedRecord(answer);
}

/** A stranger's adapter may answer anything; what is neither a record nor a miss is a failure, not a miss. */
function checkedRecord(answer: unknown): Stored | undefined {
  if (answer === undefined || answer === null) return undefined;
  const { bytes, version } = answer as Partial<Stored>;
  if (bytes instanceof Uint8Array && typeof version === "string") return answer as Stored;
  throw new TypeError("the store answered something that is neither a record nor a miss");
}
