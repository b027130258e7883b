/** Who is signed in at the authority in which browser: what makes single sign-on and `prompt=none` work. */
import { randomId, type Runtime } from "../../runtime.ts";

/** Browser sessions, by the value of their cookie. */
export interface Sessions {
  users(sessionId: string | undefined): readonly string[];
  /** Adds a user; gives back the session's id, a new one where there was none. */
  signIn(sessionId: string | undefined, username: string): string;
  signOut(sessionId: string | undefined, username?: string): void;
  /** Ends the user's part of every session. */
  forget(username: string): void;
}

/** The cookie that holds the session id. */
const SESSION_COOKIE = "local_authority_session";

const MAX_SESSIONS = 10_000;

/** No sessions yet; at most 10,000 are kept, the oldest dropped first. */
export function createSessions(runtime: Runtime): Sessions {
  const sessions = new Map<string, Set<string>>();
  return {
    users: (sessionId) => [...(sessions.get(sessionId ?? "") ?? [])],
    signIn(sessionId, username) {
      const known = sessionId !== undefined && sessions.has(sessionId);
      const id = known ? sessionId : randomId(runtime);
      const users = sessions.get(id) ?? new Set();
      sessions.set(id, users.add(username));
      for (const oldest of sessions.keys()) {
        if (sessions.size <= MAX_SESSIONS) break;
        sessions.delete(oldest);
      }
      return id;
    },
    signOut(sessionId, username) {
      if (sessionId === undefined) return;
      if (username === undefined) sessions.delete(sessionId);
      else sessions.get(sessionId)?.delete(username);
    },
    forget(username) {
      for (const users of sessions.values()) users.delete(username);
    },
  };
}

/** The session id in a `Cookie` header. */
export function sessionIdFrom(cookie: string | undefined): string | undefined {
  for (const part of (cookie ?? "").split(";")) {
    const [name, value] = part.trim().split("=");
    if (name === SESSION_COOKIE && value !== undefined && value !== "") return value;
  }
  return undefined;
}

/** The `Set-Cookie` header of a session; `""` ends it. */
export const sessionCookie = (sessionId: string): string =>
  `${SESSION_COOKIE}=${sessionId}; Path=/; HttpOnly; SameSite=Lax${sessionId === "" ? "; Max-Age=0" : ""}`;
