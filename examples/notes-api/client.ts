/** How the web app and the worker call the notes API: the caller's own code, nothing of tokenkeep. */

/** What the API knows about the user of a token. */
export interface Profile {
  readonly name: string;
  readonly username: string;
  readonly tenantId: string;
  /** Calls so far on behalf of this user, by caller. */
  readonly calls: Readonly<Record<string, number>>;
}

export interface ProfileRequest<T> {
  readonly apiUrl: string;
  /** Who calls, for the API's own count. */
  readonly caller: string;
  /** Gives a token; with `forceRefresh` one that is not from a cache. */
  readonly acquire: (forceRefresh: boolean) => Promise<T>;
}

/** Calls the API; if it does not like the token, once more with a new one. */
export async function fetchProfile<T extends { readonly accessToken: string }>(
  request: ProfileRequest<T>,
): Promise<{ readonly profile: Profile; readonly token: T }> {
  let token = await request.acquire(false);
  let response = await call(request, token);
  if (response.status === 401) {
    token = await request.acquire(true);
    response = await call(request, token);
  }
  if (!response.ok) throw badGateway(`the notes API answered ${response.status}`);
  return { profile: (await response.json()) as Profile, token };
}

async function call(
  request: ProfileRequest<unknown>,
  token: { readonly accessToken: string },
): Promise<Response> {
  try {
    return await fetch(`${request.apiUrl}/profile`, {
      headers: { authorization: `Bearer ${token.accessToken}`, "x-caller": request.caller },
    });
  } catch {
    throw badGateway("the notes API cannot be reached");
  }
}

const badGateway = (message: string): Error => Object.assign(new Error(message), { statusCode: 502 });
