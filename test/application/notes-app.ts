/**
 * An application in the usual style, written for MSAL Node's own interface; it knows nothing of tokenkeep. A web
 * front signs users in and calls an API for them; the API calls another one on their behalf; a job of its own
 * uses client credentials.
 */
import type { AccountInfo, IConfidentialClientApplication } from "@azure/msal-node";

export interface AppSettings {
  readonly redirectUri: string;
  /** What the front asks for when users sign in: the API. */
  readonly scopes: string[];
  /** Another resource the front uses for the user. */
  readonly graphScopes: string[];
  /** What the API asks for on behalf of its callers. */
  readonly tasksScopes: string[];
  /** What the job asks for. */
  readonly jobScopes: string[];
}

/** What a browser's session holds. */
export interface Session {
  homeAccountId?: string;
}

export interface Page {
  readonly graphToken: string;
  readonly tasksToken: string;
}

export function createNotesApp(
  front: IConfidentialClientApplication,
  api: IConfidentialClientApplication,
  settings: AppSettings,
) {
  async function accountOf(session: Session): Promise<AccountInfo> {
    const account = await front.getTokenCache().getAccountByHomeId(session.homeAccountId ?? "");
    if (!account) throw new Error("sign in first");
    return account;
  }

  return {
    /** GET /login */
    login: () => front.getAuthCodeUrl({ scopes: settings.scopes, redirectUri: settings.redirectUri }),

    /** GET /redirect */
    async redirect(session: Session, code: string): Promise<void> {
      const { scopes, redirectUri } = settings;
      const result = await front.acquireTokenByCode({ code, scopes, redirectUri });
      if (!result.account) throw new Error("no account");
      session.homeAccountId = result.account.homeAccountId;
    },

    /** GET /: two resources, one of them through the API. */
    async page(session: Session): Promise<Page> {
      const account = await accountOf(session);
      const graph = await front.acquireTokenSilent({ account, scopes: settings.graphScopes });
      const forApi = await front.acquireTokenSilent({ account, scopes: settings.scopes });
      const tasks = await api.acquireTokenOnBehalfOf({
        oboAssertion: forApi?.accessToken ?? "",
        scopes: settings.tasksScopes,
      });
      return { graphToken: graph?.accessToken ?? "", tasksToken: tasks?.accessToken ?? "" };
    },

    /** The nightly job. */
    async job(): Promise<string> {
      const result = await front.acquireTokenByClientCredential({ scopes: settings.jobScopes });
      return result?.accessToken ?? "";
    },

    /** POST /logout */
    async logout(session: Session): Promise<void> {
      await front.getTokenCache().removeAccount(await accountOf(session));
    },
  };
}
