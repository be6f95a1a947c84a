import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Auth, AuthError } from "../src/index.js";
import { ADA, type Browser, ORDERS, closeBrowser, moving, openBrowser, tab } from "./support/browser.js";
import { Issuer, busy, json, lost, refused } from "./support/issuer.js";

let browser: Browser;
let issuer: Issuer;
let auth: Auth;

beforeEach(() => {
  browser = openBrowser();
  issuer = new Issuer();
  auth = tab(issuer, { mode: "body" });
});
afterEach(() => {
  auth.dispose();
  closeBrowser();
});

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);
const failure = (work: Promise<unknown>) => work.then(() => expect.fail("it did not fail"), (error: AuthError) => error);

test("many callers share one refresh", async () => {
  await auth.login(ADA);
  await pass(590);
  const tokens = await Promise.all(Array.from({ length: 20 }, () => auth.token()));
  expect(new Set(tokens).size).toBe(1);
  expect(issuer.count("/auth/refresh")).toBe(1);
});

test("a token with enough time left is not refreshed, one in its last tenth is", async () => {
  await auth.login(ADA);
  await pass(539);
  await auth.token();
  expect(issuer.count("/auth/refresh")).toBe(0);
  await pass(2);
  await auth.token();
  expect(issuer.count("/auth/refresh")).toBe(1);
});

test("an answer that was lost is asked for again with the same token, inside the grace", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", lost);
  await moving(auth.token());
  const sent = issuer.requests.filter((one) => one.path === "/auth/refresh").map((one) => one.text);
  expect(sent).toEqual([sent[0], sent[0]]);
  await pass(601);
  await auth.token();
  expect(auth.state.status).toBe("signedIn");
});

test.each([
  ["no network", refused, "network"],
  ["408", busy(408), "server"],
  ["425", busy(425), "server"],
  ["429", busy(429), "too_many_requests"],
  ["500", busy(500), "server"],
  ["503", busy(503), "server"],
])("%s: three tries at most, the session stays, the error can be retried", async (_, fault, code) => {
  await auth.login(ADA);
  await pass(601);
  const began = Date.now();
  issuer.next("/auth/refresh", fault, 3);
  const error = await failure(moving(auth.token()));
  expect(error).toBeInstanceOf(AuthError);
  expect([error.code, error.retryable]).toEqual([code, true]);
  expect(issuer.count("/auth/refresh")).toBe(3);
  expect(Date.now() - began).toBeLessThanOrEqual(10_000);
  expect(auth.state.status).toBe("signedIn");
});

test("Retry-After is waited for when it fits into the grace", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", busy(503, 4));
  const began = Date.now();
  await moving(auth.token());
  expect(Date.now() - began).toBeGreaterThanOrEqual(4000);
});

test("Retry-After beyond the grace is the caller's, and nobody asks before it is over", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", busy(429, 60));
  const error = await failure(auth.token());
  expect([error.code, error.retryAfter]).toEqual(["too_many_requests", 60]);
  await pass(45);
  await failure(auth.token());
  expect(issuer.count("/auth/refresh")).toBe(1);
  await pass(16);
  await auth.token();
});

test("a try without an answer ends after 8 seconds", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", (request) => new Promise((_, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason))));
  await moving(auth.token());
  expect(issuer.count("/auth/refresh")).toBe(2);
});

test("a token that failed is not tried again for 30 seconds, unless the application asks", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", busy(500), 3);
  await failure(moving(auth.token()));
  await pass(10);
  await failure(auth.token());
  expect(issuer.count("/auth/refresh")).toBe(3);
  await auth.refresh();
  expect(issuer.count("/auth/refresh")).toBe(4);
  await auth.token();
});

test("what failed while offline is tried again at once", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", refused, 3);
  vi.stubGlobal("navigator", { onLine: false });
  await failure(moving(auth.token()));
  vi.stubGlobal("navigator", { onLine: true });
  await auth.token();
});

test("an access token that is still good stays in use while refreshes fail", async () => {
  await auth.login(ADA);
  const before = await auth.token();
  await pass(550);
  issuer.next("/auth/refresh", busy(500), 3);
  expect(await moving(auth.token())).toBe(before);
});

test("only invalid_grant ends a session, whatever else is refused", async () => {
  await auth.login(ADA);
  await pass(601);
  for (const status of [400, 401, 403, 404, 413]) {
    issuer.next("/auth/refresh", () => json({ error: "invalid_client" }, status));
    expect((await failure(auth.refresh())).code).toBe("refused");
    expect(auth.state.status).toBe("signedIn");
  }
  issuer.next("/auth/refresh", () => json({ error: "invalid_grant" }, 401));
  const reasons: string[] = [];
  auth.on("signedOut", ({ reason }) => reasons.push(reason));
  expect((await failure(auth.refresh())).code).toBe("session_expired");
  await pass(0);
  expect(reasons).toEqual(["ended"]);
  expect((await failure(auth.token())).code).toBe("login_required");
});

test("a page of something in between is no answer", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", () => new Response("<html>Welcome to our hotel</html>"));
  await moving(auth.token());
  expect(auth.state.status).toBe("signedIn");
});

test("no error and no message holds a token", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", (request) => json({ error: `secret ${request.url} s1.0` }, 400));
  const error = await failure(auth.refresh());
  expect(`${error.message} ${error.error} ${JSON.stringify(error)}`).not.toContain("s1.0");
});

test("a refresh under way does not bring back who signed out", async () => {
  await auth.login(ADA);
  let answer = () => {};
  issuer.next("/auth/refresh", async (_, ask) => {
    const made = await ask();
    await new Promise<void>((resolve) => (answer = resolve));
    return made;
  });
  const refresh = auth.refresh();
  await pass(0);
  await auth.logout();
  answer();
  await refresh;
  expect(auth.state.status).toBe("signedOut");
});

test("a verdict about an old token does not end the sign-in that came after", async () => {
  await auth.login(ADA);
  let answer = () => {};
  issuer.next("/auth/refresh", async () => {
    await new Promise<void>((resolve) => (answer = resolve));
    return json({ error: "invalid_grant" }, 401);
  });
  vi.stubGlobal("navigator", {});
  const refresh = auth.refresh();
  await pass(0);
  await auth.login(ADA);
  answer();
  await refresh;
  expect(auth.state.sessionId).toBe("s3");
});

test("a lock that is never given back is waited for 3 seconds and no longer", async () => {
  await auth.login(ADA);
  const frozen = browser.locks.request("", { signal: new AbortController().signal }, () => new Promise(() => {}));
  await pass(601);
  const token = auth.token();
  await pass(2.9);
  expect(issuer.count("/auth/refresh")).toBe(0);
  await moving(token);
  expect(issuer.count("/auth/refresh")).toBe(1);
  void frozen;
});

test("listeners are called when no lock is held", async () => {
  const heard: boolean[] = [];
  auth.on("refreshed", () => heard.push(browser.locks.held));
  await auth.login(ADA);
  await auth.refresh();
  await pass(0);
  expect(heard).toEqual([false]);
});

test("a new access token is shown to the API", async () => {
  await auth.login(ADA);
  await pass(601);
  expect((await auth.fetch(ORDERS)).status).toBe(200);
});

test("a network that is gone for half the grace costs nobody the sign-in, at whatever moments the tries begin", async () => {
  await auth.login(ADA);
  await pass(601);
  vi.spyOn(Math, "random").mockReturnValue(0);
  const back = Date.now() + 4900;
  issuer.next("/auth/refresh", lost);
  issuer.next("/auth/refresh", (_, answer) => (Date.now() < back ? refused(_, answer) : answer()), 2);
  await moving(auth.token());
  expect(issuer.sessions.get("s1")!.over).toBe(false);
});

test("a token whose answer may be lost is asked again inside the grace, by the next call", async () => {
  await auth.login(ADA);
  await pass(601);
  vi.spyOn(Math, "random").mockReturnValue(0);
  issuer.next("/auth/refresh", lost);
  issuer.next("/auth/refresh", refused, 2);
  await failure(moving(auth.token()));
  await auth.token();
  await pass(601);
  await auth.token();
  expect(issuer.sessions.get("s1")!.over).toBe(false);
});

test("no storm: calls without end ask six times in half a minute", async () => {
  await auth.login(ADA);
  await pass(601);
  issuer.next("/auth/refresh", refused, 100);
  const end = Date.now() + 30_000;
  while (Date.now() < end) {
    await failure(moving(auth.token()));
    await pass(0.1);
  }
  expect(issuer.count("/auth/refresh")).toBeLessThanOrEqual(6);
});

test("the last try has as long as the others: its answer may come after the grace", async () => {
  await auth.login(ADA);
  await pass(601);
  const slow = (seconds: number) => (request: Request, answer: () => Promise<Response>) =>
    new Promise<Response>((resolve, reject) => {
      request.signal.addEventListener("abort", () => reject(request.signal.reason));
      void answer().then((made) => setTimeout(resolve, seconds * 1000, made));
    });
  issuer.next("/auth/refresh", slow(9));
  issuer.next("/auth/refresh", slow(5));
  await moving(auth.token());
  expect(issuer.count("/auth/refresh")).toBe(2);
});

test("the refresh token follows no redirect to another origin", async () => {
  const redirects: string[] = [];
  const fetch = (request: RequestInfo | URL) => {
    redirects.push((request as Request).redirect);
    return issuer.fetch(request);
  };
  const other = tab(issuer, { mode: "body", fetch });
  await other.login(ADA);
  await other.refresh();
  await other.logout();
  other.dispose();
  expect(redirects).toEqual(["error", "error", "error"]);
});
