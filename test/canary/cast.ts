/** Who takes part in a drive: an authority, processes with everything they say on tape, and what must stay secret. */
import { createHash, createSecretKey, generateKeyPairSync } from "node:crypto";
import {
  ConfidentialClientApplication,
  LogLevel,
  type Configuration,
  type INetworkModule,
  type NetworkResponse,
} from "@azure/msal-node";
import { stringSecrets, type Secret } from "../../examples/demo/scan.ts";
import { createPublicClient, type PublicClient } from "../../src/client/public-client.ts";
import { createKeyRing, type KeyRing } from "../../src/envelope/key-ring.ts";
import { hiddenNaming } from "../../src/names/naming.ts";
import type { TokenCacheOptions } from "../../src/options.ts";
import {
  DEFAULT_APPS,
  DEFAULT_CLIENT_IDS,
  DEFAULT_RESOURCES,
  DEFAULT_USERS,
} from "../../src/testing/authority/options.ts";
import { chaosStore, type ChaosStore } from "../support/chaos.ts";
import { createNode, createWorld, type Authority, type Node } from "../support/world.ts";
import type { DriveBackend } from "./stores.ts";
import { tapStore, type Tape } from "./tape.ts";

export const DORA = "dora@contoso.example";
const DAEMON = "a0000000-0000-4000-8000-0000000000ce";
const KEY = createHash("sha256").update("the sealing key of a drive").digest();
const OTHER_KEY = createHash("sha256").update("another key").digest();

export type Keys = KeyRing | "unsealed";
export type CacheOptions = Partial<TokenCacheOptions<never>>;

/** One process of the application. */
export interface Taped extends Node {
  readonly link: ChaosStore;
}

export interface Cast {
  readonly authority: Authority;
  readonly tape: Tape;
  readonly keys: Keys;
  /** What a partition key is called in the store. */
  nameOf(key: string): string;
  /** Of another application's: another id, or the same id and another key. */
  strangerKeys(id: string): Keys;
  /** After a rotation: the other key seals, the one from before opens. */
  rotatedKeys(): Keys;
  /** Something else that must not be found. */
  keepSecret(secret: string): void;
  node(who: "web" | "api" | "worker" | "daemon", options?: CacheOptions): Promise<Taped>;
  desktop(node: Taped): PublicClient;
  /** MSAL's own client, for the doors that take one. */
  vendor(cache?: Configuration["cache"]): ConfidentialClientApplication;
  /** All that has been issued, presented or used as a key so far. */
  secrets(): Secret[];
  close(): Promise<void>;
}

export interface CastOptions {
  readonly backend: DriveBackend;
  readonly tape: Tape;
  readonly sealed: boolean;
  /** 32 bytes: what lies in the store names nobody. */
  readonly nameKey?: Uint8Array;
}

export function createCast({ backend, tape, sealed, nameKey }: CastOptions): Cast {
  const certificate = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const { authority } = createWorld({
    resources: DEFAULT_RESOURCES,
    users: [...DEFAULT_USERS, { username: DORA, name: "Dora Lind", tenant: "contoso" }],
    apps: [...DEFAULT_APPS, { clientId: DAEMON, publicKeys: [certificate.publicKey] }],
    lifetimes: { deviceCodeIntervalSeconds: 0 },
  });
  const presented = new Set<string>();
  const keys: Keys = sealed ? createKeyRing({ sealing: { id: "k1", key: KEY } }) : "unsealed";
  const names: CacheOptions = nameKey ? { names: { key: nameKey } } : {};
  const nodes: Taped[] = [];

  const system = (): Configuration["system"] => ({
    networkClient: collecting(authority.networkClient(), presented),
    loggerOptions: {
      logLevel: LogLevel.Trace,
      piiLoggingEnabled: true,
      loggerCallback: (_level, message) => tape.note("MSAL's log", message),
    },
  });
  const authOf = (who: "web" | "api" | "worker" | "daemon"): Configuration["auth"] => {
    if (who === "daemon") {
      const { clientSecret: _none, ...auth } = authority.msalAuth("contoso", DAEMON) as Configuration["auth"];
      const thumbprintSha256 = createHash("sha256").update(certificate.publicKey).digest("hex");
      return { ...auth, clientCertificate: { privateKey: certificate.privateKey, thumbprintSha256 } };
    }
    return authority.msalAuth("contoso", who === "api" ? DEFAULT_CLIENT_IDS.notes : DEFAULT_CLIENT_IDS.web);
  };

  return {
    authority,
    tape,
    keys,
    nameOf(key) {
      const namespace = key.split(":", 1)[0]!;
      return nameKey ? hiddenNaming(namespace, createSecretKey(nameKey)).name(key) : key;
    },
    strangerKeys: (id) => (sealed ? createKeyRing({ sealing: { id, key: OTHER_KEY } }) : "unsealed"),
    rotatedKeys: () =>
      sealed
        ? createKeyRing({ sealing: { id: "k2", key: OTHER_KEY }, opening: [{ id: "k1", key: KEY }] })
        : "unsealed",
    keepSecret: (secret) => void presented.add(secret),
    async node(who, options = {}) {
      const opened = await backend.open();
      const link = { ...opened, ...chaosStore(tapStore(opened, tape)) };
      const node = createNode(
        authority,
        { store: link, keys, onEvent: (event) => tape.note("events", event), ...names, ...options },
        { auth: authOf(who), system: system()!, role: who === "worker" ? "worker" : "web" },
      );
      opened.backplane?.subscribe((message) => tape.note("messages to other processes", message));
      const taped = { ...node, link };
      nodes.push(taped);
      return taped;
    },
    desktop: (node) =>
      createPublicClient({
        auth: authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.desktop),
        system: system()!,
        tokenCache: node.cache,
      }),
    vendor: (own) =>
      new ConfidentialClientApplication({
        auth: authOf("web"),
        system: system()!,
        ...(own && { cache: own }),
      }),
    secrets: () => [
      ...stringSecrets("issued", authority.issued),
      ...stringSecrets("presented", presented),
      ...stringSecrets("private key", [certificate.privateKey.replace(/-----[^-]+-----|\s/g, "")]),
      ...[KEY, OTHER_KEY].map((value, index) => ({ label: `sealing key ${index + 1}`, value })),
    ],
    async close() {
      for (const { cache: own } of nodes) await own.close();
    },
  };
}

const SECRET_FIELDS = [
  "client_secret",
  "client_assertion",
  "assertion",
  "code",
  "code_verifier",
  "device_code",
  "password",
  "refresh_token",
];

/** The provider's own list has what it gave; this has what it was shown. */
function collecting(inner: INetworkModule, presented: Set<string>): INetworkModule {
  return {
    sendGetRequestAsync: (url, options) => inner.sendGetRequestAsync(url, options),
    sendPostRequestAsync<T>(url: string, options?: { body?: string }): Promise<NetworkResponse<T>> {
      const form = new URLSearchParams(options?.body ?? "");
      for (const name of SECRET_FIELDS) {
        const value = form.get(name);
        if (value !== null && value.length >= 12) presented.add(value);
      }
      return inner.sendPostRequestAsync(url, options);
    },
  };
}
