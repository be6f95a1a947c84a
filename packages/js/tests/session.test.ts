import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Auth, type AuthError, type AuthOptions, createAuth } from "../src/index.js";
import { ADA, type Browser, FakeStorage, ORDERS, closeBrowser, moving, openBrowser, tab } from "./support/browser.js";
import { ISSUER, Issuer, busy, json, refused } from "./support/issuer.js";

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

test("nothing happens and nothing is needed before the first call", () => {
  vi.unstubAllGlobals();
  expect(typeof globalThis.document).toBe("undefined");
  const auth = open({ keepAlive: true, storage: "local" });
  expect(auth.state).toEqual({ status: "signedOut" });
  expect(issuer.requests).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test("on a server, two people's clients never hear each other", async () => {
  vi.stubGlobal("document", undefined);
  const [ada, bob] = [open(), open()];
  await ada.login(ADA);
  await pass(1);
  expect(bob.state.status).toBe("signedOut");
});

test("cookie mode: no refresh token in the page, cookies to the session API alone", async () => {
  const auth = open({ storage: "local" });
  expect(await auth.login(ADA)).toEqual({ id: "u1", email: "ada@example.com", name: "Ada" });
  await auth.refresh();
  await auth.fetch(ORDERS);
  expect([...browser.local.items.values()].join()).not.toMatch(/refreshToken|s1\.\d/);
  const included = issuer.requests.filter((one) => one.credentials === "include").map((one) => one.path);
  expect(included).toEqual(["/auth/login", "/auth/refresh"]);
  expect(issuer.requests.slice(0, 2).map((one) => one.headers.get("X-Keyturn-Client"))).toEqual(["app", "app"]);
});

test("a wrong password is invalid_credentials, and the state is what it was", async () => {
  const error = await failure(open().login({ ...ADA, password: "wrong" }));
  expect([error.code, error.status, error.retryable]).toEqual(["invalid_credentials", 401, false]);
});

test("a state is a frozen snapshot", async () => {
  const auth = open();
  const before = auth.state;
  await auth.login(ADA);
  expect([before.status, auth.state.status, Object.isFrozen(auth.state)]).toEqual(["signedOut", "signedIn", true]);
  expect(auth.state.expiresAt).toBe(Date.now() + 600_000);
});

test("a reload finds the cookie; nobody signed in is no error", async () => {
  expect(await open().restore()).toBe(false);
  await open().login(ADA);
  expect(await open().restore()).toBe(true);
});

test("an outage at the start rejects and signs nobody out", async () => {
  await open().login(ADA);
  const auth = open();
  issuer.next("/auth/refresh", busy(503), 3);
  expect((await failure(moving(auth.restore()))).retryable).toBe(true);
  expect(await auth.restore()).toBe(true);
});

test("a call before restore restores first, once", async () => {
  const first = open();
  await first.login(ADA);
  const auth = open();
  expect((await auth.fetch(ORDERS)).status).toBe(200);
  await first.logout();
  const nobody = open();
  await failure(nobody.token());
  await failure(nobody.token());
  expect(issuer.count("/auth/refresh")).toBe(2);
});

test.each(["session", "local"] as const)("%s storage: a reload goes on without a request", async (storage) => {
  const auth = open({ mode: "body", storage });
  await auth.login(ADA);
  const reloaded = open({ mode: "body", storage });
  expect(await reloaded.restore()).toBe(true);
  expect(await reloaded.token()).toBe(await auth.token());
  expect(issuer.requests).toHaveLength(1);
});

test("an adapter is a storage like the others", async () => {
  const storage = new FakeStorage();
  await open({ mode: "body", storage }).login(ADA);
  expect(await open({ mode: "body", storage }).restore()).toBe(true);
});

test("what somebody else left under the key is nothing", async () => {
  browser.local.setItem(`keyturn:${ISSUER}:app`, "{broken");
  expect(await open({ mode: "body", storage: "local" }).restore()).toBe(false);
});

test("a storage that throws is said once, and memory takes its place", async () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  const auth = open({ mode: "body", storage: "local" });
  await auth.login(ADA);
  browser.local.getItem = browser.local.setItem = () => {
    throw new DOMException("", "QuotaExceededError");
  };
  await auth.refresh();
  await auth.refresh();
  expect(auth.state.status).toBe("signedIn");
  expect((await auth.fetch(ORDERS)).status).toBe(200);
  expect(warn.mock.calls.map(([error]) => error.code)).toEqual(["storage_blocked"]);
});

test("logout forgets first, and gives the session up by a request that outlives the page", async () => {
  const auth = open({ mode: "body", storage: "local" });
  await auth.login(ADA);
  issuer.next("/auth/logout", () => {
    expect([auth.state.status, browser.local.items.size]).toEqual(["signedOut", 0]);
    return new Response(null, { status: 204 });
  });
  await auth.logout();
  expect(issuer.requests.at(-1)).toMatchObject({ path: "/auth/logout", text: '{"refreshToken":"s1.0"}', keepalive: true });
});

test("a logout that the issuer did not hear of says so", async () => {
  const auth = open();
  await auth.login(ADA);
  issuer.next("/auth/logout", refused);
  expect((await failure(auth.logout())).code).toBe("network");
  expect(auth.state.status).toBe("signedOut");
});

test("logout everywhere ends every session of the person", async () => {
  const auth = open({ mode: "body" });
  await auth.login(ADA);
  await auth.logout({ everywhere: true });
  expect(issuer.count("/auth/logout-all")).toBe(1);
});

test("who signs out while it is still asked who is signed in stays signed out", async () => {
  await open().login(ADA);
  tabs.pop()!.dispose();
  const auth = open();
  let answer = () => {};
  issuer.next("/auth/refresh", async (_, ask) => {
    const made = await ask();
    await new Promise<void>((resolve) => (answer = resolve));
    return made;
  });
  const restoring = auth.restore();
  await pass(0);
  await auth.logout();
  answer();
  expect(await restoring).toBe(false);
});

test("two instances live side by side, and dispose lets go of one", async () => {
  const [one, other] = [open(), open()];
  await one.login(ADA);
  await pass(1);
  one.dispose();
  await other.logout();
  await pass(1);
  expect([one.state.status, other.state.status]).toEqual(["signedIn", "signedOut"]);
});

test("the session API may be proxied on the application's own origin", async () => {
  const urls: string[] = [];
  const fetch = async (request: RequestInfo | URL) => {
    urls.push((request as Request).url);
    return json({ accessToken: "a", tokenType: "Bearer", expiresIn: 1, sessionId: "s" });
  };
  await open({ fetch, sessionApi: "https://app.example.com" }).restore();
  expect(urls).toEqual(["https://app.example.com/auth/refresh"]);
});

test("an option that is no good is refused when the client is made", () => {
  expect(() => createAuth({ issuer: ISSUER, clientId: "app", apis: ["api.example.com"] })).toThrow();
});

test("a step-up during a refresh is not lost", async () => {
  const auth = open({ mode: "body" });
  await auth.login(ADA);
  let answer = () => {};
  issuer.next("/auth/refresh", async (_, ask) => {
    const made = await ask();
    await new Promise<void>((resolve) => (answer = resolve));
    return made;
  });
  const refresh = auth.refresh();
  await pass(0);
  const proof = auth.request<{ accessToken: string }>("POST", "/auth/reauthenticate", { password: "correct" });
  await pass(1);
  answer();
  await refresh;
  const { accessToken } = await moving(proof);
  expect(await auth.token()).toBe(accessToken);
});
