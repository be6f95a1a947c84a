import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Auth, AuthError, SignInOptions } from "../src/index.js";
import { type Browser, ORDERS, closeBrowser, openBrowser, tab } from "./support/browser.js";
import { ISSUER, Issuer, busy, refused } from "./support/issuer.js";

const CALLBACK = "https://app.example.com/callback";

let browser: Browser;
let issuer: Issuer;
let auth: Auth;

beforeEach(() => {
  browser = openBrowser();
  issuer = new Issuer();
  auth = tab(issuer, { mode: "code", redirectUri: CALLBACK, scope: "openid orders.read" });
});
afterEach(() => {
  auth.dispose();
  closeBrowser();
});

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);
const failure = (work: Promise<unknown>) => work.then(() => expect.fail("it did not fail"), (error: AuthError) => error);

/** Leave for the issuer; return what it is asked. */
async function leave(options?: SignInOptions): Promise<URLSearchParams> {
  const before = browser.left.length;
  void auth.signIn(options);
  await vi.waitFor(() => expect(browser.left.length).toBe(before + 1));
  const asked = new URL(browser.left.at(-1)!).searchParams;
  issuer.idClaims = { nonce: asked.get("nonce") };
  return asked;
}

function back(asked: URLSearchParams, more: Record<string, string> = {}): void {
  const given = { code: "c0de", state: asked.get("state")!, iss: ISSUER, ...more };
  browser.location.href = `${CALLBACK}?${new URLSearchParams(given)}`;
}

test("the request has everything the standards want", async () => {
  const asked = await leave({ acrValues: "urn:keyturn:acr:password", maxAge: 0, prompt: "login", loginHint: "ada" });
  expect(Object.fromEntries(asked)).toMatchObject({
    ...{ response_type: "code", client_id: "app", redirect_uri: CALLBACK, scope: "openid orders.read" },
    ...{ code_challenge_method: "S256", acr_values: "urn:keyturn:acr:password", max_age: "0", prompt: "login" },
    login_hint: "ada",
  });
  for (const name of ["state", "nonce", "code_challenge"]) expect(asked.get(name)).toMatch(/^[\w-]{43}$/);
  expect(asked.has("resource")).toBe(false);
});

test("the way there and back: signed in, the verifier fits, the address is clean", async () => {
  const asked = await leave({ returnTo: "/orders?page=2#top" });
  back(asked, { kept: "1" });
  expect(await auth.handleCallback()).toEqual({ returnTo: "/orders?page=2#top" });
  expect(browser.location.href).toBe(`${CALLBACK}?kept=1`);
  const form = new URLSearchParams(issuer.requests[0]!.text);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(form.get("code_verifier")!)));
  const challenge = asked.get("code_challenge")!.replaceAll("-", "+").replaceAll("_", "/");
  expect(btoa(String.fromCharCode(...hash))).toBe(`${challenge}=`);
  expect(Object.fromEntries(form)).toMatchObject({ grant_type: "authorization_code", code: "c0de", redirect_uri: CALLBACK, client_id: "app" });
  expect(auth.state).toMatchObject({ status: "signedIn", sessionId: "s1" });
  expect(browser.session.items.size).toBe(0);
  expect((await auth.fetch(ORDERS)).status).toBe(200);
});

test("a double mount redeems the code once", async () => {
  back(await leave());
  const [one, other] = await Promise.all([auth.handleCallback(), auth.handleCallback()]);
  expect(one).toBe(other);
  expect(issuer.count("/oauth2/token")).toBe(1);
});

test("two sign-ins can be under way", async () => {
  const [one, other] = [await leave({ returnTo: "/one" }), await leave({ returnTo: "/other" })];
  issuer.idClaims = { nonce: one.get("nonce") };
  back(one);
  expect(await auth.handleCallback()).toEqual({ returnTo: "/one" });
  issuer.idClaims = { nonce: other.get("nonce") };
  back(other);
  expect(await auth.handleCallback()).toEqual({ returnTo: "/other" });
});

test.each([
  ["a state nobody asked with", { state: "forged" }, "state_mismatch"],
  ["another issuer's answer", { iss: "https://evil.example.com" }, "issuer_mismatch"],
])("%s is refused, and no code leaves", async (_, wrong, code) => {
  back(await leave(), wrong);
  expect((await failure(auth.handleCallback())).code).toBe(code);
  expect(issuer.requests).toEqual([]);
  expect(browser.location.href).toBe(CALLBACK);
});

test("an answer without iss is refused", async () => {
  const asked = await leave();
  browser.location.href = `${CALLBACK}?code=c0de&state=${asked.get("state")}`;
  expect((await failure(auth.handleCallback())).code).toBe("issuer_mismatch");
});

test("an answer is taken once", async () => {
  const asked = await leave();
  back(asked);
  await auth.handleCallback();
  back(asked);
  expect((await failure(auth.handleCallback())).code).toBe("state_mismatch");
});

test.each([
  ["another nonce", { nonce: "other" }, "state_mismatch"],
  ["another issuer", { iss: "https://evil.example.com" }, "issuer_mismatch"],
  ["another audience", { aud: ["someone"] }, "issuer_mismatch"],
])("an ID token with %s is refused", async (_, claims, code) => {
  back(await leave());
  issuer.idClaims = { ...issuer.idClaims, ...claims };
  expect((await failure(auth.handleCallback())).code).toBe(code);
  expect(auth.state.status).toBe("signedOut");
});

test.each([
  ["login_required", "login_required"],
  ["consent_required", "consent_required"],
  ["access_denied", "consent_required"],
  ["unmet_authentication_requirements", "step_up_required"],
  ["temporarily_unavailable", "server"],
  ["invalid_scope", "refused"],
])("the refusal %s is %s", async (error, code) => {
  const asked = await leave();
  browser.location.href = `${CALLBACK}?${new URLSearchParams({ error, state: asked.get("state")!, iss: ISSUER })}`;
  expect(await failure(auth.handleCallback())).toMatchObject({ code, error, status: undefined });
});

test.each(["https://evil.example.com/", "//evil.example.com", "/\\evil.example.com", "https://app.example.com//evil.example.com", "javascript:alert(1)"])(
  "%s is no place to come back to",
  async (returnTo) => {
    back(await leave({ returnTo }));
    const went = await auth.handleCallback();
    expect(new URL(went.returnTo, "https://app.example.com").origin).toBe("https://app.example.com");
  },
);

test("refreshing rotates, and retries the same token", async () => {
  back(await leave());
  await auth.handleCallback();
  await pass(601);
  issuer.next("/oauth2/token", busy(503));
  const work = auth.token();
  await pass(10);
  await work;
  const sent = issuer.requests.filter((one) => one.text.includes("refresh_token=")).map((one) => one.text);
  expect(sent).toEqual([sent[0], sent[0]]);
  expect(auth.state.sessionId).toBe("s1");
});

test("a code is not sent twice, whatever becomes of the answer", async () => {
  back(await leave());
  issuer.next("/oauth2/token", refused);
  expect((await failure(auth.handleCallback())).code).toBe("network");
  expect(issuer.count("/oauth2/token")).toBe(1);
});

test("logout forgets, revokes, then leaves for the issuer with the hint", async () => {
  back(await leave());
  await auth.handleCallback();
  await auth.logout({ returnTo: "https://app.example.com/bye" });
  expect(issuer.requests.at(-1)).toMatchObject({ path: "/oauth2/revoke", keepalive: true });
  expect(issuer.sessions.get("s1")!.over).toBe(true);
  const url = new URL(browser.left.at(-1)!);
  expect(url.pathname).toBe("/oauth2/logout");
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    ...{ client_id: "app", post_logout_redirect_uri: "https://app.example.com/bye" },
    id_token_hint: expect.stringMatching(/^h\./),
  });
});

test("logout leaves for the issuer also when it could not revoke", async () => {
  back(await leave());
  await auth.handleCallback();
  issuer.next("/oauth2/revoke", refused);
  await failure(auth.logout());
  expect(browser.left.at(-1)).toContain("/oauth2/logout");
});

test("blocked storage stops before the person is sent away", async () => {
  browser.session.setItem = () => {
    throw new DOMException("", "SecurityError");
  };
  expect((await failure(auth.signIn())).code).toBe("storage_blocked");
  expect(browser.left).toEqual([]);
});

test("without a redirect URI nobody is sent away", async () => {
  const bare = tab(issuer, { mode: "code" });
  expect((await failure(bare.signIn())).code).toBe("misconfigured");
  bare.dispose();
});

test("a state that names what else is kept in the tab is nobody's, and takes nothing away", async () => {
  const signedIn = tab(issuer, { mode: "code", redirectUri: CALLBACK, storage: "session" });
  const asked = await leave();
  back(asked);
  await signedIn.handleCallback();
  // A stranger's link, with a code of the stranger's whose verifier is the word "undefined".
  back(asked, { state: `${ISSUER}:app` });
  expect((await failure(signedIn.handleCallback())).code).toBe("state_mismatch");
  expect(issuer.count("/oauth2/token")).toBe(1);
  expect(await signedIn.restore()).toBe(true);
  signedIn.dispose();
});
