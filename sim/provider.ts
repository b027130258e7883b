/** The identity provider: the local authority on virtual time, seen through the network of one process. */
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from "@azure/msal-node";
import { createLocalAuthority, type LocalAuthority } from "../src/testing/authority/index.ts";
import type { Remote } from "./link.ts";
import type { SentRequest } from "./ledger.ts";
import type { Operation, ProviderCall } from "./operation.ts";
import type { Process } from "./process.ts";
import { createWorldRuntime } from "./shared.ts";
import type { World } from "./world.ts";
import { API_ID, HOME, HOST, PEOPLE, signingKeyPem, WEB_ID } from "./cast.ts";

export interface Provider {
  readonly authority: LocalAuthority;
  /** What an application was configured with: the secret from before anybody replaced it. */
  authOf(clientId: string): ReturnType<LocalAuthority["msalAuth"]>;
}

export function createProvider(world: Pick<World, "scheduler" | "prng" | "profile">): Provider {
  const { profile } = world;
  const authority = createLocalAuthority({
    authorityHost: HOST,
    users: PEOPLE,
    runtime: createWorldRuntime(world.scheduler, world.prng),
    signingKeyPem: signingKeyPem(),
    refreshTokens: profile.refreshTokens,
    lifetimes: {
      accessTokenSeconds: profile.accessTokenSeconds,
      ...(profile.refreshInSeconds !== undefined && { refreshInSeconds: profile.refreshInSeconds }),
    },
  });
  const auths = new Map<string, ReturnType<LocalAuthority["msalAuth"]>>(
    [WEB_ID, API_ID].map((id) => [id, authority.msalAuth(HOME, id)]),
  );
  return {
    authority,
    authOf: (clientId) => auths.get(clientId) ?? authority.msalAuth(HOME, clientId),
  };
}

/** MSAL's network module for one process. */
export function createProviderLink(world: World, process: Process, remote: Remote): INetworkModule {
  const { authority } = world.provider;
  const network = authority.networkClient();

  async function post<T>(url: string, options: NetworkRequestOptions = {}): Promise<NetworkResponse<T>> {
    const params = new URLSearchParams(options.body ?? "");
    const operation = world.operations.byCorrelationId(correlationIdOf(url, params));
    const grant = grantOf(params);
    // Drawn at the sender's, like every other fault of a call.
    const fault = world.faults.plan("provider").provider;
    const sentAt = world.scheduler.nowMs;
    let sent: ProviderCall | undefined;
    const request: SentRequest = { process, sentAt, endedAt: Number.POSITIVE_INFINITY };
    world.ledger.requests.push(request);
    const answer = await remote(
      "provider",
      `asks ${grant}${operation ? ` for #${operation.id}` : ""}`,
      async () => {
        const call: ProviderCall = {
          at: world.scheduler.nowMs,
          sentAt,
          receivedAt: undefined,
          retryAfterMs: 0,
          name: nameOf(url, params),
          client: `${new URL(url).pathname} ${params.get("client_id")}`,
          grant,
          process,
          operation,
          refreshToken: params.get("refresh_token") ?? undefined,
          claims: params.has("claims"),
          scope: params.get("scope") ?? "",
          outcome: "pending",
          delivered: true,
        };
        sent = call;
        if (fault) fail(call, fault);
        if (!fault || fault === "lost-answer") world.ledger.asked(call);
        try {
          return await network.sendPostRequestAsync<T>(url, options as never).then((answer) => {
            note(call, answer);
            return answer;
          });
        } catch (error) {
          // The answer is lost, but not what the provider did: what it issued exists now.
          call.outcome = fault ?? "broken";
          world.checker.providerAnswered(call);
          throw error;
        }
      },
    ).finally(() => {
      request.endedAt = world.scheduler.nowMs;
    });
    if (sent) sent.receivedAt = world.scheduler.nowMs;
    return answer;
  }

  function fail(call: ProviderCall, fault: "429" | "500" | "503" | "reset" | "lost-answer"): void {
    call.delivered = false;
    const kind =
      fault === "429"
        ? "provider-429"
        : fault === "reset"
          ? "provider-reset"
          : fault === "lost-answer"
            ? "provider-answer-lost"
            : "provider-5xx";
    world.faults.note(kind, process.machine.number);
    authority.failNext({ kind: fault });
  }

  function note<T>(call: ProviderCall, answer: NetworkResponse<T>): void {
    const body = answer.body as Readonly<Record<string, unknown>>;
    call.outcome = answer.status === 200 ? "ok" : String(body["error"]);
    call.retryAfterMs = Number(answer.headers["retry-after"] ?? 0) * 1000;
    if (answer.status === 200) world.ledger.issued(call, body, call.at);
    const { ledger, history } = world;
    const used = call.refreshToken && ledger.refresh(call.refreshToken)?.name;
    const got = [
      call.accessToken && ledger.access(call.accessToken)?.name,
      call.newRefreshToken && ledger.refresh(call.newRefreshToken)?.name,
    ];
    const names = got.filter(Boolean).join(" ");
    history.add(`provider answers ${describe(call.operation)} ${used ?? ""} -> ${call.outcome} ${names}`);
    world.checker.providerAnswered(call);
  }

  return {
    sendGetRequestAsync: (url, options) =>
      remote("provider", "asks for metadata", () => network.sendGetRequestAsync(url, options as never)),
    sendPostRequestAsync: post,
  };
}

/** What makes two requests the same. */
function nameOf(url: string, params: URLSearchParams): string {
  const fields = ["client_id", "grant_type", "refresh_token", "assertion", "scope", "claims"];
  return JSON.stringify([new URL(url).pathname, ...fields.map((field) => params.get(field))]);
}

/** MSAL puts it into the query or into the body, depending on the grant. */
function correlationIdOf(url: string, body: URLSearchParams): string {
  const name = "client-request-id";
  return new URL(url).searchParams.get(name) ?? body.get(name) ?? "";
}

function describe(operation: Operation | undefined): string {
  return operation ? `#${operation.id}` : "somebody";
}

function grantOf(params: URLSearchParams): string {
  const grant = params.get("grant_type") ?? "";
  return grant.endsWith("jwt-bearer") ? "on_behalf_of" : grant;
}
