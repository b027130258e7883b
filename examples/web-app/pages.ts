/** The markup of the app. No script, nothing from elsewhere, readable in light and dark. */
import { createHash } from "node:crypto";
import type { ResultMetadata } from "../../src/index.ts";
import type { Profile } from "../notes-api/client.ts";

const STYLE = `
:root { color-scheme: light dark; --accent: light-dark(#0b5cad, #7db8ff); --soft: light-dark(#f3f5f8, #1d2229);
  --line: light-dark(#d5dbe3, #3a424d); --quiet: light-dark(#4d5866, #aab4c0);
  font: 1.0625rem/1.55 system-ui, sans-serif; }
* { box-sizing: border-box; }
body { margin: 0; background: light-dark(#fff, #12161b); color: light-dark(#161b22, #eef1f5); }
header, main { width: min(42rem, 100% - 2.5rem); margin-inline: auto; }
header { display: flex; justify-content: space-between; gap: 1rem; padding: 1.25rem 0; border-bottom: 1px solid var(--line); }
header a { color: inherit; font-weight: 650; text-decoration: none; }
header span { color: var(--quiet); overflow-wrap: anywhere; }
main { padding: 2.5rem 0 4rem; }
h1 { margin: 0 0 .75rem; font-size: clamp(1.6rem, 5vw, 2.1rem); line-height: 1.2; text-wrap: balance; }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.15rem; }
p { margin: 0 0 1rem; max-width: 60ch; }
dl { display: grid; grid-template-columns: max-content 1fr; margin: 1.5rem 0; border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
dt, dd { margin: 0; padding: .6rem 1rem; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
dt { background: var(--soft); color: var(--quiet); }
dt:first-of-type, dt:first-of-type + dd { border-top: 0; }
.action { font: inherit; display: inline-block; padding: .6rem 1.1rem; border: 1px solid var(--accent); border-radius: .5rem; color: var(--accent); background: none; text-decoration: none; cursor: pointer; }
.notice { padding: 1rem; border: 1px solid var(--line); border-left: 4px solid var(--accent); border-radius: .5rem; background: var(--soft); }
.first { background: var(--accent); color: light-dark(#fff, #10151b); }
.action:hover { text-decoration: underline; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
.choice { display: grid; grid-template-columns: 1fr auto; gap: .25rem 1.5rem; align-items: center; padding: 1rem 0; border-top: 1px solid var(--line); }
.choice p { margin: 0; }
.choice + .choice { border-bottom: 1px solid var(--line); }
@media (max-width: 32rem) { .choice, dl { grid-template-columns: 1fr; } dl dd { border-top: 0; }  header { flex-wrap: wrap; } }
`;

/** For the content security policy: this style and no other. */
export const STYLE_HASH = `sha256-${createHash("sha256").update(STYLE).digest("base64")}`;

const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

function page(title: string, username: string | undefined, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} - Notes</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header><a href="/">Notes</a>${username === undefined ? "" : `<span>${escapeHtml(username)}</span>`}</header>
<main>
<h1>${escapeHtml(title)}</h1>
${content}
</main>
</body>
</html>
`;
}

/** What came of a sign-out. */
export type SignOutNotice = "here" | "everywhere" | "pending" | "not-durable";

const NOTICES: Readonly<Record<SignOutNotice, string>> = Object.freeze({
  here: `<strong>You are signed out of this browser.</strong> The background worker goes on acting for you. To
end that too, sign in and choose "Sign out everywhere".`,
  everywhere: `<strong>You are signed out for good.</strong> Your tokens are removed, and the background worker
no longer acts for you.`,
  pending: `<strong>You are signed out here, but not yet everywhere.</strong> The place where sign-ins are kept does
not answer. This app has forgotten your tokens and goes on trying to remove them there; until it has, the background
worker may act for you. To be sure, sign in later and sign out everywhere once more.`,
  "not-durable": `<strong>Your tokens are removed, but the sign-out could not be noted.</strong> The place where
sign-ins are kept is full. Something that was under way for you just then may have brought your tokens back. To be
sure, sign in later and sign out everywhere once more.`,
});

/** The front page; `username` if somebody is signed in, `notice` right after a sign-out. */
export function homePage(username: string | undefined, notice?: SignOutNotice): string {
  if (username === undefined) {
    const told = notice === undefined ? "" : `<p class="notice" role="status">${NOTICES[notice]}</p>\n`;
    return page(
      "Sign in once, the worker goes on",
      undefined,
      `${told}<p>Sign in, and this app may read your notes. So may its background worker, while you are away and even
while this app is stopped: both use one sealed token cache.</p>
<p><a class="action first" href="/sign-in?returnTo=/me">Sign in</a></p>`,
    );
  }
  return page(
    "You are signed in",
    username,
    `<p><a class="action first" href="/me">Show my profile</a></p>
${signOutChoices}`,
  );
}

const signOutChoices = `<h2>Signing out</h2>
<div class="choice">
<p><strong>Of this browser.</strong> The background worker goes on acting for you.</p>
<form method="post" action="/sign-out"><button class="action">Sign out here</button></form>
</div>
<div class="choice">
<p><strong>For good.</strong> Your tokens are removed and the worker stops acting for you.</p>
<form method="post" action="/sign-out-everywhere"><button class="action">Sign out everywhere</button></form>
</div>`;

/** What the downstream API said, and where its token came from. */
export function profilePage(profile: Profile, token: ResultMetadata): string {
  const calls = Object.entries(profile.calls).map(([caller, count]) => `${caller}: ${count}`);
  const rows: readonly (readonly [string, string])[] = [
    ["Name", profile.name],
    ["Signed in as", profile.username],
    ["Tenant", profile.tenantId],
    ["Calls for you so far", calls.join(", ")],
    ["This call's token", describeToken(token)],
  ];
  const list = rows.map(([term, text]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(text)}</dd>`);
  return page(
    `Hello, ${profile.name}`,
    profile.username,
    `<p>The notes API checked your access token and answered this:</p>
<dl>
${list.join("\n")}
</dl>
<p><a class="action" href="/me">Call the API again</a></p>
${signOutChoices}`,
  );
}

function describeToken(token: ResultMetadata): string {
  if (token.tokenSource === "identity-provider") return "renewed at the identity provider";
  return token.cacheLevel === "L1" ? "from this process's memory" : "from the shared cache";
}

export type Problem =
  | "foreign-form"
  | "sign-in-again"
  | "sign-in-refused"
  | "sign-in-expired"
  | "sign-in-elsewhere"
  | "sign-in-unknown"
  | "sign-in-repeated"
  | "sign-in-failed"
  | "not-found"
  | "busy"
  | "downstream"
  | "unknown";

/** Every problem says what happened and what to do. */
export function errorPage(problem: Problem): string {
  const [title, text, label, href] = PROBLEMS[problem];
  return page(title, undefined, `<p>${text}</p>\n<p><a class="action first" href="${href}">${label}</a></p>`);
}

const START_AGAIN = ["Start again", "/sign-in?returnTo=/me"] as const;

const PROBLEMS: Readonly<Record<Problem, readonly [string, string, string, string]>> = Object.freeze({
  "sign-in-again": [
    "Please sign in again",
    "Your sign-in has ended or needs to be confirmed. Signing in again continues where you were.",
    "Sign in again",
    "/sign-in?returnTo=/me",
  ],
  "sign-in-refused": [
    "You were not signed in",
    `You cancelled, or the identity provider did not let you in: an account that may not use this app, or a consent
that is missing. Nothing has been changed.`,
    ...START_AGAIN,
  ],
  "sign-in-expired": [
    "That took too long",
    "A sign-in must be finished within ten minutes. Nothing has been changed.",
    ...START_AGAIN,
  ],
  "sign-in-elsewhere": [
    "That was another sign-in",
    `This answer belongs to a sign-in that this browser does not have under way, for instance one that was begun
in another window and has been overtaken. If you are signed in there, just go on there.`,
    ...START_AGAIN,
  ],
  "sign-in-unknown": [
    "This browser does not remember the sign-in",
    `The cookie that was set when it began did not come back. Cookies may be blocked: allow them for this site. Or
it began under another name of it, and to a browser localhost and 127.0.0.1 are two sites: stay with one.`,
    ...START_AGAIN,
  ],
  "sign-in-repeated": [
    "That sign-in has been used",
    "Each can be used once, and the page was loaded again. If it worked the first time, you are signed in.",
    "Go on",
    "/me",
  ],
  "sign-in-failed": [
    "That sign-in did not work",
    "The identity provider did not accept what it had handed out itself. Nothing has been changed.",
    ...START_AGAIN,
  ],
  "foreign-form": [
    "That request came from elsewhere",
    "It was not sent by a page of this app, so it was not carried out.",
    "Go to the front page",
    "/",
  ],
  "not-found": ["There is no such page", "The address may be mistyped.", "Go to the front page", "/"],
  busy: [
    "Just a moment",
    "The place where sign-ins are kept does not answer right now. You are still signed in; please try again.",
    "Try again",
    "/me",
  ],
  downstream: [
    "The notes are not available",
    "The notes API did not answer as it should. You are still signed in; please try again.",
    "Try again",
    "/me",
  ],
  unknown: ["Something went wrong", "The app could not do that.", "Go to the front page", "/"],
});
