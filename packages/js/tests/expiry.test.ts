import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Auth } from "../src/index.js";
import { ADA, type Browser, closeBrowser, openBrowser, tab } from "./support/browser.js";
import { Issuer, busy, lost, refused } from "./support/issuer.js";

let browser: Browser;
let issuer: Issuer;
const tabs: Auth[] = [];

beforeEach(() => {
  browser = openBrowser();
  issuer = new Issuer();
});
afterEach(() => {
  for (const one of tabs.splice(0)) one.dispose();
  closeBrowser();
});

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);
const refreshes = () => issuer.count("/auth/refresh");

async function signedIn(options = {}): Promise<Auth> {
  const auth = tab(issuer, { mode: "body", ...options });
  tabs.push(auth);
  await auth.login(ADA);
  return auth;
}

function setClock(hours: number): void {
  vi.setSystemTime(Date.now() + hours * 3_600_000);
}

test("a clock that is set back changes nothing in an open page", async () => {
  const auth = await signedIn();
  setClock(-1);
  await auth.token();
  expect(refreshes()).toBe(0);
  await pass(595);
  await auth.token();
  expect(refreshes()).toBe(1);
});

test("a clock that is set forward costs one refresh, and no more", async () => {
  const auth = await signedIn();
  setClock(1);
  await auth.token();
  await auth.token();
  expect(refreshes()).toBe(1);
});

test("a stored token from the future is refreshed: the clock was set back since", async () => {
  await signedIn({ storage: "local" });
  setClock(-1);
  const reloaded = tab(issuer, { mode: "body", storage: "local" });
  tabs.push(reloaded);
  expect(await reloaded.restore()).toBe(true);
  expect(refreshes()).toBe(1);
});

test("a machine that slept while the clock of the page stood still refreshes", async () => {
  const auth = await signedIn();
  const asleep = performance.now();
  await pass(3600);
  vi.spyOn(performance, "now").mockReturnValue(asleep);
  await auth.token();
  expect(refreshes()).toBe(1);
});

test("what the token says of itself is never read", async () => {
  const auth = await signedIn();
  expect(await auth.token()).toMatch(/^at-\d+$/); // no JWT at all
});

test("without keepAlive there is no timer", async () => {
  await signedIn();
  await pass(10); // A request's time-out is over by then.
  expect(vi.getTimerCount()).toBe(0);
});

test("keepAlive: one timer renews before expiry, again and again", async () => {
  const auth = await signedIn({ keepAlive: true });
  await pass(10);
  expect(vi.getTimerCount()).toBe(1);
  await pass(6000);
  expect(refreshes()).toBeGreaterThanOrEqual(10);
  expect(refreshes()).toBeLessThanOrEqual(12);
  auth.dispose();
  await pass(10);
  expect(vi.getTimerCount()).toBe(0);
});

test("keepAlive: a failure is not repeated at once", async () => {
  await signedIn({ keepAlive: true });
  issuer.next("/auth/refresh", busy(500), 100);
  await pass(600);
  expect(refreshes()).toBeLessThanOrEqual(12);
});

test("keepAlive: an answer that may be lost is asked for again inside the grace, with nobody calling", async () => {
  await signedIn({ keepAlive: true });
  vi.spyOn(Math, "random").mockReturnValue(0);
  await pass(530);
  issuer.next("/auth/refresh", lost);
  issuer.next("/auth/refresh", refused, 2);
  await pass(120);
  expect(issuer.sessions.get("s1")).toMatchObject({ over: false, generation: 1 });
});

test("keepAlive: signing out ends it", async () => {
  const auth = await signedIn({ keepAlive: true });
  await auth.logout();
  await pass(3600);
  expect(refreshes()).toBe(0);
});

test("keepAlive: a lifetime longer than a timer can wait does not make it fire at once", async () => {
  issuer.expiresIn = 2 ** 31;
  await signedIn({ keepAlive: true });
  await pass(60);
  expect(refreshes()).toBe(0);
});

test.each(["visibilitychange", "online", "pageshow"])("keepAlive: %s looks at the clock, once in 5 seconds", async (event) => {
  await signedIn({ keepAlive: true });
  await pass(1);
  setClock(2); // slept: timers stood still
  for (let i = 0; i < 5; i++) browser.window.dispatchEvent(new Event(event));
  await pass(1);
  expect(refreshes()).toBe(1);
  setClock(2);
  browser.window.dispatchEvent(new Event(event));
  await pass(1);
  expect(refreshes()).toBe(1);
  await pass(4);
  browser.window.dispatchEvent(new Event(event));
  await pass(1);
  expect(refreshes()).toBe(2);
});
