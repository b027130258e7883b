/** The pages a person sees: pick an account, type a device code, signed out, something is wrong. */
import { createHash } from "node:crypto";
import type { AuthorityAnswer } from "./context.ts";

/** Text for HTML content and quoted attributes. */
const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; color: CanvasText; }
main { width: min(26rem, 100% - 2rem); padding: 2rem 0; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.2; }
p { margin: 0 0 1rem; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; }
form { display: grid; gap: .5rem; margin: 0; }
label { display: grid; gap: .25rem; margin-bottom: .5rem; }
input, button { font: inherit; padding: .75rem 1rem; border: 1px solid GrayText; border-radius: .5rem; background: Field; color: FieldText; }
button { text-align: left; cursor: pointer; }
button:hover { border-color: LinkText; }
:focus-visible { outline: 3px solid LinkText; outline-offset: 2px; }
button span { display: block; font-size: .875rem; opacity: .8; }
.quiet { border-color: transparent; background: none; }
footer { margin-top: 2rem; font-size: .875rem; opacity: .8; }
`.trim();

const SUBMIT = "document.forms[0].submit()";
const SUBMIT_HASH = createHash("sha256").update(SUBMIT).digest("base64");

function page(status: number, title: string, content: string): AuthorityAnswer {
  return {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy": `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${SUBMIT_HASH}'; base-uri 'none'; frame-ancestors 'none'`,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    },
    body: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} - local test authority</title>
<style>
${STYLE}
</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${content}
<footer>Local test authority. There are no passwords: anybody can sign in as anybody.</footer>
</main>
</body>
</html>
`,
  };
}

/** Somebody who can be picked. */
export interface PickableAccount {
  readonly username: string;
  readonly name: string;
}

const accountButtons = (accounts: readonly PickableAccount[], hinted: string | undefined): string =>
  accounts
    .map(
      ({ username, name }) =>
        `<button name="account" value="${escapeHtml(username)}"${username === hinted ? " autofocus" : ""}>` +
        `${escapeHtml(name)} <span>${escapeHtml(username)}</span></button>`,
    )
    .join("\n");

/** One button per account; the form posts back to the address it came from. */
export function pickerPage(options: {
  readonly appName: string;
  readonly accounts: readonly PickableAccount[];
  readonly hinted: string | undefined;
  /** Shown so that choosing an account is consent to them. */
  readonly scopes: readonly string[];
  /** Query string to post back to. */
  readonly query: string;
}): AuthorityAnswer {
  const scopes = options.scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join("\n");
  return page(
    200,
    "Pick an account",
    `<p>To continue to <strong>${escapeHtml(options.appName)}</strong>${scopes === "" ? "." : ", which asks for:"}</p>
${scopes === "" ? "" : `<ul>\n${scopes}\n</ul>`}
<form method="post" action="?${escapeHtml(options.query)}">
${accountButtons(options.accounts, options.hinted)}
<button class="quiet" name="action" value="cancel">Cancel</button>
</form>`,
  );
}

/** A field for the code a device shows, and the accounts. */
export function deviceCodePage(options: {
  readonly accounts: readonly PickableAccount[];
  readonly userCode: string;
  readonly problem?: string;
}): AuthorityAnswer {
  const problem = options.problem === undefined ? "" : `<p role="alert">${escapeHtml(options.problem)}</p>\n`;
  return page(
    options.problem === undefined ? 200 : 400,
    "Enter the code",
    `${problem}<form method="post">
<label>Code shown on your device
<input name="user_code" value="${escapeHtml(options.userCode)}" required autocomplete="off" autocapitalize="characters" spellcheck="false">
</label>
${accountButtons(options.accounts, undefined)}
<button class="quiet" name="action" value="cancel">Decline</button>
</form>`,
  );
}

/** A heading and a sentence. */
export const messagePage = (status: number, title: string, text: string): AuthorityAnswer =>
  page(status, title, `<p>${escapeHtml(text)}</p>`);

/** Sends `fields` to `target` by a form that submits itself (OAuth 2.0 Form Post Response Mode). */
export function formPostPage(target: string, fields: Readonly<Record<string, string>>): AuthorityAnswer {
  const inputs = Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`)
    .join("\n");
  return page(
    200,
    "Signing in",
    `<form method="post" action="${escapeHtml(target)}">
${inputs}
<noscript><button>Continue</button></noscript>
</form>
<script>${SUBMIT}</script>`,
  );
}
