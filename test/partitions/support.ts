import { memoryStore, type MemoryStore } from "../../src/adapters/memory.ts";
import type { CacheBlob } from "../../src/blob/entities.ts";
import { createKeyRing, type KeyRing } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { createRecordCodec } from "../../src/partitions/codec.ts";
import type { Change } from "../../src/partitions/change.ts";
import { accountPartition, oboPartition, userPartition } from "../../src/partitions/partition.ts";
import type { Partition } from "../../src/partitions/partition.ts";
import { createPartitions, type Partitions } from "../../src/partitions/partitions.ts";
import type { TokenRecord } from "../../src/partitions/record.ts";
import { defaultRetention, type Retention } from "../../src/partitions/retention.ts";
import type { SaveOutcome } from "../../src/partitions/save.ts";
import type { TokenkeepEvent } from "../../src/telemetry/events.ts";
import type { Tiers } from "../../src/tiers/tiers.ts";
import type { PartitionRecord } from "../../src/partitions/record.ts";
import type { BreakerOptions } from "../../src/tiers/breaker.ts";
import { createStoreCalls } from "../../src/tiers/store-calls.ts";
import { createTwoTier } from "../../src/tiers/two-tier.ts";
import { fakeRuntime, type FakeRuntime } from "../adapters/fake-runtime.ts";
import {
  CLIENT,
  ENVIRONMENT,
  HOME,
  account,
  accessToken,
  blobOf,
  idToken,
  refreshToken,
  saveAccessToken,
} from "../blob/fixtures.ts";
import { chaosStore, type ChaosOptions, type ChaosStore } from "../support/chaos.ts";

export const SCOPE = { clientId: CLIENT, issuer: ENVIRONMENT };
export const USER = userPartition(SCOPE, HOME);
export const ACCOUNT = accountPartition(SCOPE, HOME);
export const obo = (assertion: string): Partition => oboPartition(SCOPE, assertion);
export const BOUND_MS = 5_000;
export const STALE_MS = 60_000;
export const SKEW_MS = 10_000;

export function keyRing(id: string, ...others: string[]): KeyRing {
  const key = (name: string): Uint8Array => new Uint8Array(32).fill(name.charCodeAt(0));
  return createKeyRing({
    sealing: { id, key: key(id) },
    ...(others.length > 0 && { opening: others.map((other) => ({ id: other, key: key(other) })) }),
  });
}

export interface NodeOptions {
  readonly keys?: KeyRing;
  readonly unsavedMaxBytes?: number;
  readonly maxStaleMs?: number;
  /** Default: room for everything. */
  readonly l1MaxBytes?: number | false;
  /** Default: none, so that each call is made. */
  readonly breaker?: BreakerOptions;
  readonly retention?: Partial<Retention>;
  readonly chaos?: ChaosOptions;
  readonly store?: MemoryStore;
}

/** One process of an application, from the partitions down. */
export interface PartitionNode {
  readonly link: ChaosStore;
  readonly tiers: Tiers<PartitionRecord>;
  readonly partitions: Partitions;
  readonly events: TokenkeepEvent[];
  /** How often something was reported. */
  reported(type: TokenkeepEvent["type"]): number;
  /** A person signs in; `name` makes the tokens recognisable. */
  signIn(name: string, partition?: Partition, change?: Partial<Change>): Promise<SaveOutcome>;
  /** A token for another scope: reads, and what it got is for {@link Renewal.save}. */
  renew(name: string, scope?: string): Promise<Renewal>;
  /** The tokens as this process sees them, or the status of the partition. */
  sees(partition?: Partition): Promise<string>;
}

export interface Renewal {
  save(change?: Partial<Change>): Promise<SaveOutcome>;
}

export interface PartitionWorld {
  readonly runtime: FakeRuntime;
  readonly store: MemoryStore;
  node(options?: NodeOptions): PartitionNode;
  /** Lets fake time pass until the work is done. */
  drive<R>(work: Promise<R>): Promise<R>;
}

/** What a sign-in brings. */
export function signInBlob(name: string): CacheBlob {
  return blobOf({
    accounts: [account()],
    idTokens: [idToken({ secret: `idt-${name}` })],
    accessTokens: [accessToken({ secret: `at-${name}` })],
    refreshTokens: [refreshToken({ secret: `rt-${name}` })],
  });
}

/** What a renewal makes of a record: a new access token for `scope`, and a new refresh token. */
function renewedBlob(record: TokenRecord, name: string, scope: string): CacheBlob {
  const renewed = saveAccessToken(record.blob, accessToken({ secret: `at-${name}`, target: scope }));
  const [key] = Object.keys(renewed.RefreshToken);
  return { ...renewed, RefreshToken: { [key!]: refreshToken({ secret: `rt-${name}` }) } };
}

export function accessTokensOf(record: TokenRecord | undefined): string[] {
  return Object.values(record?.blob.AccessToken ?? {})
    .map((token) => token.secret)
    .toSorted();
}

export function refreshTokenOf(record: TokenRecord | undefined): string | undefined {
  return Object.values(record?.blob.RefreshToken ?? {})[0]?.secret;
}

export function partitionWorld(): PartitionWorld {
  const runtime = fakeRuntime();
  const store = memoryStore({ runtime });
  return {
    runtime,
    store,
    node: (options = {}) => createNode(runtime, options.store ?? store, options),
    async drive(work) {
      let done = false;
      const finished = work.finally(() => {
        done = true;
      });
      finished.catch(() => undefined);
      while (!done) await runtime.advance(10);
      return finished;
    },
  };
}

function createNode(runtime: FakeRuntime, store: MemoryStore, options: NodeOptions): PartitionNode {
  const link = chaosStore(store, options.chaos);
  const events: TokenkeepEvent[] = [];
  const emit = (event: TokenkeepEvent): void => void events.push(event);
  const sealer = createSealer(options.keys ?? keyRing("a"), runtime);
  const namespace = "ns";
  const tiers = createTwoTier<PartitionRecord>({
    store: link,
    calls: createStoreCalls({
      name: "chaos",
      runtime,
      budgets: { read: 1_000, write: 2_000 },
      breaker: options.breaker ?? false,
      onFailure(operation, error) {
        emit({ type: "store-failed", store: "chaos", operation, error });
        return false;
      },
    }),
    codec: createRecordCodec({ sealer, namespace, runtime, emit }),
    runtime,
    l1MaxBytes: options.l1MaxBytes ?? 10_000_000,
    coherenceBoundMs: BOUND_MS,
    maxStaleMs: options.maxStaleMs ?? STALE_MS,
  });
  const partitions = createPartitions({
    tiers,
    namespace,
    runtime,
    retention: { ...defaultRetention, ...options.retention },
    unsavedMaxBytes: options.unsavedMaxBytes ?? 1_000_000,
    maxClockSkewMs: SKEW_MS,
    emit,
  });
  return {
    link,
    tiers,
    partitions,
    events,
    reported: (type) => events.filter((event) => event.type === type).length,
    signIn: (name, partition = USER, change = {}) =>
      partitions.save(partition, {
        creates: true,
        signsIn: true,
        base: undefined,
        mine: signInBlob(name),
        strengthens: true,
        ...change,
      }),
    async renew(name, scope = "mail.read") {
      const state = await partitions.read(USER);
      if (state.status !== "present") throw new Error(`nothing to renew: ${state.status}`);
      const { record, version } = state;
      return {
        save: (change) =>
          partitions.save(USER, {
            creates: false,
            signsIn: false,
            base: record,
            baseVersion: version,
            mine: renewedBlob(record, name, scope),
            strengthens: false,
            ...change,
          }),
      };
    },
    async sees(partition = USER) {
      const state = await partitions.read(partition);
      return state.status === "present" ? accessTokensOf(state.record).join(" ") : state.status;
    },
  };
}
