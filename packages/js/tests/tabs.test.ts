import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Auth, AuthError, AuthOptions } from "../src/index.js";
import { ADA, type Browser, FakeStorage, closeBrowser, moving, openBrowser, tab } from "./support/browser.js";
import { ISSUER, Issuer, busy } from "./support/issuer.js";

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
const failure = (work: Promise<unknown>) => work.then(() => expect.fail("it did not fail"), (error: AuthError) => error);

function open(options: Partial<AuthOptions> = {}): Auth {
  const auth = tab(issuer, options);
  tabs.push(auth);
  return auth;
}

function heard(auth: Auth): string[] {
  const events: string[] = [];
  auth.on("signedIn", () => events.push("signedIn"));
  auth.on("refreshed", () => events.push("refreshed"));
  auth.on("signedOut", ({ reason }) => events.push(`signedOut ${reason}`));
  return events;
}

test.each(["cookie", "body"] as const)("%s mode: two tabs with one sign-in stay signed in", async (mode) => {
  const [one, other] = [open({ mode, storage: "local" }), open({ mode, storage: "local" })];
  await one.login(ADA);
  await pass(1);
  expect(other.state.sessionId).toBe("s1");
  await pass(600);
  await Promise.all([one.token(), other.token()]);
  expect(await one.token()).toBe(await other.token());
  expect(issuer.count("/auth/refresh")).toBe(1);
});

test("without locks and channels the server's grace keeps both tabs", async () => {
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("BroadcastChannel", undefined);
  const [one, other] = [open({ mode: "body", storage: "local" }), open({ mode: "body", storage: "local" })];
  await one.login(ADA);
  expect(await other.restore()).toBe(true);
  for (let i = 0; i < 3; i++) {
    await pass(600);
    await Promise.all([one.token(), other.token()]);
  }
  expect([one.state.status, other.state.status]).toEqual(["signedIn", "signedIn"]);
  expect(issuer.sessions.get("s1")!.over).toBe(false);
});

test("a storage that shows other tabs' writes late does not end a session (Safari)", async () => {
  const late = new FakeStorage();
  const [one, other] = [open({ mode: "body", storage: browser.session }), open({ mode: "body", storage: late })];
  await one.login(ADA);
  late.setItem(`keyturn:${ISSUER}:app`, browser.session.getItem(`keyturn:${ISSUER}:app`)!);
  await other.restore();
  for (let i = 0; i < 3; i++) {
    await pass(600);
    await Promise.all([one.refresh(), other.refresh()]);
    await pass(15);
  }
  expect(issuer.sessions.get("s1")!.over).toBe(false);
});

test("a duplicated tab hears of newer tokens of its sign-in, and never goes back to older ones", async () => {
  const one = open({ mode: "body", storage: browser.session });
  await one.login(ADA);
  const copied = new FakeStorage();
  for (const [key, value] of browser.session.items) copied.setItem(key, value);
  const other = open({ mode: "body", storage: copied });
  await other.restore();
  await pass(300);
  await one.refresh();
  await pass(15);
  await other.refresh();
  await pass(15);
  await one.refresh();
  expect([one.state.status, other.state.status]).toEqual(["signedIn", "signedIn"]);
  expect([...copied.items.values()]).toEqual([...browser.session.items.values()]);
});

test("tabs with a sign-in each keep apart", async () => {
  const [one, other] = [open({ mode: "body" }), open({ mode: "body" })];
  await one.login(ADA);
  await pass(1);
  expect(other.state.status).toBe("signedOut");
  await other.login(ADA);
  await one.refresh();
  await pass(1);
  expect([one.state.sessionId, other.state.sessionId]).toEqual(["s1", "s3"]);
});

test("a refresh answer of another session is another sign-in, and is adopted", async () => {
  const auth = open();
  await auth.login(ADA);
  await pass(1);
  const events = heard(auth);
  issuer.jar = `${issuer.begin().id}.0`;
  await auth.refresh();
  await pass(1);
  expect(auth.state.sessionId).toBe("s3");
  expect(events).toEqual(["signedIn"]);
});

test.each([
  ["cookie", "memory"],
  ["body", "local"],
  ["body", "memory"],
] as const)("%s mode, %s storage: logout reaches every tab at once", async (mode, storage) => {
  const [one, other] = [open({ mode, storage }), open({ mode, storage })];
  await one.login(ADA);
  if (storage === "memory" && mode === "body") await other.login(ADA);
  await pass(1);
  const [mine, theirs] = [heard(one), heard(other)];
  await one.logout();
  await pass(1);
  expect([mine, theirs]).toEqual([["signedOut user"], ["signedOut other_tab"]]);
  expect((await failure(other.token())).code).toBe("login_required");
  expect([...issuer.sessions.values()].every((session) => session.over)).toBe(true);
});

test("without channels logout reaches other tabs by storage", async () => {
  vi.stubGlobal("BroadcastChannel", undefined);
  const [one, other] = [open(), open()];
  await one.login(ADA);
  await other.restore();
  await one.logout();
  const key = `keyturn:${ISSUER}:app:over`;
  browser.window.dispatchEvent(Object.assign(new Event("storage"), { key, newValue: browser.local.getItem(key) }));
  expect(other.state.status).toBe("signedOut");
  expect(browser.local.getItem(key)).not.toMatch(/at-/);
});

test("a message that comes late does not bring older tokens back", async () => {
  const auth = open({ mode: "body" });
  const told: { data: unknown }[] = [];
  const channel = new BroadcastChannel(`keyturn:${ISSUER}:app`);
  channel.onmessage = ({ data }) => told.push({ data });
  await auth.login(ADA);
  await auth.refresh();
  await pass(15);
  await auth.refresh();
  await pass(15);
  channel.postMessage(told[1]!.data);
  await pass(1);
  await auth.refresh();
  const sent = issuer.requests.filter((one) => one.path === "/auth/refresh").map((one) => JSON.parse(one.text).refreshToken);
  expect(sent).toEqual(["s1.0", "s1.1", "s1.2"]);
});

test("who signed out is not looked for again, even if the issuer did not hear of it", async () => {
  await open().login(ADA);
  tabs.pop()!.dispose();
  const auth = open();
  issuer.next("/auth/logout", () => {
    throw new TypeError("fetch failed");
  });
  await failure(auth.logout());
  expect((await failure(auth.token())).code).toBe("login_required");
  expect(issuer.count("/auth/refresh")).toBe(0);
});

test("a tab that was frozen between two tries does not show a token that another tab has replaced", async () => {
  const [one, other] = [open({ mode: "body", storage: "local" }), open({ mode: "body", storage: "local" })];
  await one.login(ADA);
  await pass(601);
  let thaw: (() => void) | undefined;
  issuer.next("/auth/refresh", (...given) => {
    // The next timer is that of the second try.
    vi.spyOn(globalThis, "setTimeout").mockImplementationOnce((work) => ((thaw = work as () => void), 0 as never));
    return busy(503)(...given);
  });
  const frozen = one.token();
  while (!thaw) await pass(0);
  await moving(other.token());
  await pass(15);
  await moving(other.refresh());
  await pass(15);
  thaw();
  expect(await frozen).toBe(await other.token());
  await other.refresh();
  expect(issuer.count("/auth/refresh")).toBe(4);
  expect(issuer.sessions.get("s1")!.over).toBe(false);
});

test("a tab that asks who is signed in brings nobody back who signs out meanwhile in another", async () => {
  const one = open();
  await one.login(ADA);
  const other = open();
  let answer = () => {};
  issuer.next("/auth/refresh", async (_, ask) => {
    const made = await ask();
    await new Promise<void>((resolve) => (answer = resolve));
    return made;
  });
  const restoring = other.restore();
  await pass(0);
  await one.logout();
  await pass(1);
  answer();
  expect(await restoring).toBe(false);
  await pass(1);
  expect([one.state.status, other.state.status]).toEqual(["signedOut", "signedOut"]);
});

test("a newer token that crosses a logout on its way brings nobody back", async () => {
  const [one, other] = [open(), open()];
  await one.login(ADA);
  await pass(1);
  await other.refresh();
  const told = other.token();
  const crossing = new BroadcastChannel(`keyturn:${ISSUER}:app`);
  await one.logout();
  crossing.postMessage({ tokens: { sessionId: "s1", accessToken: await told, tokenType: "Bearer", expiresIn: 600, at: Date.now(), turn: 9 } });
  await pass(1);
  expect(one.state.status).toBe("signedOut");
});
