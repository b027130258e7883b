import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findChromium, INSTALL } from "./chromium.ts";
import { startDemo, type Demo } from "./demo.ts";

const executablePath = findChromium();
if (executablePath === undefined) {
  console.warn(
    `LEFT OUT: the test in a real browser, for there is no Chromium here. This brings it:\n  ${INSTALL}`,
  );
}

const PATIENCE_MS = 60_000;
// As root, as in most containers, Chromium has no sandbox of its own to offer.
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-sync",
  "--no-first-run",
];

let demo: Demo | undefined;
let browser: Browser | undefined;

beforeAll(async () => {
  if (executablePath === undefined) return;
  demo = await startDemo();
  browser = await chromium.launch({ executablePath, args: ARGUMENTS, timeout: PATIENCE_MS });
}, 2 * PATIENCE_MS);

afterAll(async () => {
  await browser?.close();
  expect((await demo?.stop()) ?? 0).toBe(0);
}, PATIENCE_MS);

/** A new window, and what it asked for and complained about. */
async function openWindow(): Promise<{ page: Page; hosts: Set<string>; complaints: string[] }> {
  const context = await browser!.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const hosts = new Set<string>();
  const complaints: string[] = [];
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol !== "data:") hosts.add(hostname);
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  return { page, hosts, complaints };
}

const heading = (page: Page, text: string) => page.getByRole("heading", { level: 1, name: text }).waitFor();

async function signIn(page: Page, name: string): Promise<void> {
  await page.getByRole("link", { name: "Sign in" }).click();
  await heading(page, "Pick an account");
  await page.getByRole("button", { name }).click();
  await heading(page, `Hello, ${name}`);
}

test.skipIf(executablePath === undefined)(
  "in Chromium a person signs in by clicking, sees their profile, signs out of the browser, and signs in again",
  async () => {
    const { origin } = demo!;
    const { page, hosts, complaints } = await openWindow();
    await page.goto(origin);
    await signIn(page, "Ada Palmer");
    expect(page.url()).toBe(`${origin}/me`);
    expect(await page.getByRole("definition").allTextContents()).toEqual(
      expect.arrayContaining(["Ada Palmer", "ada@contoso.example"]),
    );

    // The browser has a sealed cookie that scripts cannot read, and nothing else.
    const cookies = await page.context().cookies(origin);
    expect(cookies.find(({ name }) => name === "notes_session")).toMatchObject({
      httpOnly: true,
      sameSite: "Lax",
    });
    expect(
      await page.evaluate("document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })"),
    ).toBe("{}");
    expect(await page.content()).not.toMatch(/eyJ[\w-]{10}/);

    await page.getByRole("button", { name: "Sign out here" }).click();
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    await page.goto(`${origin}/me`);
    await heading(page, "Pick an account");

    await page.goto(origin);
    await signIn(page, "Ada Palmer");
    // Somebody else in another window is somebody else.
    const other = await openWindow();
    await other.page.goto(origin);
    await signIn(other.page, "Cleo Marsh");
    await page.reload();
    await heading(page, "Hello, Ada Palmer");

    expect([...hosts, ...other.hosts]).toEqual(["127.0.0.1", "127.0.0.1"]);
    expect([...complaints, ...other.complaints]).toEqual([]);
  },
  4 * PATIENCE_MS,
);
