/** An identity provider that answers every refresh, each after the same time, however many there are. */
import { setTimeout } from "node:timers/promises";
import { tokenAnswer } from "./blob.ts";
import { SCOPES, type Application } from "./parties.ts";

export interface Provider {
  /** How often it has been asked. */
  readonly calls: number;
  /** The application, with this provider behind it. */
  readonly application: Application;
}

export function createProvider(
  base: Application,
  { answerMs, expiresInSeconds = 3_600 }: { readonly answerMs: number; readonly expiresInSeconds?: number },
): Provider {
  let calls = 0;
  const send = async (_url: string, options?: { readonly body?: string }): Promise<never> => {
    calls += 1;
    await setTimeout(answerMs);
    // The refresh token says whose it is.
    const uid = /refresh_token=(?<uid>[0-9a-f-]{36})/.exec(options?.body ?? "")?.[1] ?? "";
    const body = tokenAnswer(base.owner(uid), SCOPES, expiresInSeconds);
    return { status: 200, headers: {}, body } as never;
  };
  const networkClient = { sendGetRequestAsync: send, sendPostRequestAsync: send };
  return {
    get calls() {
      return calls;
    },
    application: { ...base, system: { networkClient } },
  };
}
