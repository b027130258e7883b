/** One process of an application: it makes the silent calls it is told to, and says what its callers were told. */
import { createHash } from "node:crypto";
import {
  createConfidentialClient,
  createTokenCache,
  keysFromEnv,
  type TokenResult,
} from "../../../src/index.ts";
import { codeOf } from "../../hazards/setting.ts";
import { settle } from "../../support/settle.ts";
import { movableClock } from "./clock.ts";
import { crashingStore } from "./crash.ts";
import {
  KEYS_VARIABLE,
  SETTINGS_VARIABLE,
  type FromMember,
  type MemberSettings,
  type Report,
  type Task,
  type ToMember,
} from "./protocol.ts";
import { sharedStore } from "./shared-store.ts";

/** Enough turns of the event loop for a call that asks the provider by itself to have sent its request. */
const ON_THEIR_WAY = 50;

const clock = movableClock();
const settings = JSON.parse(process.env[SETTINGS_VARIABLE] ?? "") as MemberSettings;
const { auth, role = "web", refreshTokens = "reusable", crash, requestTimeoutMs } = settings;
const tokenCache = createTokenCache({
  store: crashingStore(sharedStore(settings), crash),
  keys: keysFromEnv(KEYS_VARIABLE),
  refreshTokens,
});
const client = createConfidentialClient({
  auth,
  tokenCache,
  role,
  ...(requestTimeoutMs && { requestTimeoutMs }),
});

process.on("message", (message: ToMember) => {
  if (message.type === "run") return void run(message.task);
  clock.pass(message.ms);
  tell({ type: "ready" });
});
process.on("disconnect", () => void tokenCache.close());
tell({ type: "ready" });

async function run({ how, account, scopes }: Task): Promise<void> {
  const call = async (wanted: readonly string[]): Promise<void> => {
    const acquired = client.acquireTokenSilent({ account, scopes: [...wanted] });
    tell({ type: "report", report: { scopes: wanted, ...(await acquired.then(reportOf, failureOf)) } });
  };
  if (how === "together") {
    const calls = scopes.map(call);
    await settle(ON_THEIR_WAY);
    tell({ type: "started" });
    await Promise.all(calls);
  } else for (const wanted of scopes) await call(wanted);
  tell({ type: "done", waiting: tokenCache.unsaved().entries });
}

function reportOf({ accessToken, metadata }: TokenResult): Omit<Report, "scopes"> {
  const fingerprint = createHash("sha256").update(accessToken).digest("base64url");
  return { outcome: "ok", source: metadata.tokenSource, saved: metadata.saved, fingerprint };
}

function failureOf(error: unknown): Omit<Report, "scopes"> {
  return { outcome: codeOf(error) };
}

function tell(message: FromMember): void {
  process.send?.(message);
}
