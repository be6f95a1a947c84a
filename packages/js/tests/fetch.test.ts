import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Auth, AuthError, StepUpChallenge } from "../src/index.js";
import { ADA, ORDERS, closeBrowser, openBrowser, tab } from "./support/browser.js";
import { Issuer, json } from "./support/issuer.js";

let issuer: Issuer;
let auth: Auth;

beforeEach(async () => {
  openBrowser();
  issuer = new Issuer();
  auth = tab(issuer, { mode: "body" });
  await auth.login(ADA);
});
afterEach(() => {
  auth.dispose();
  closeBrowser();
});

const failure = (work: Promise<unknown>) => work.then(() => expect.fail("it did not fail"), (error: AuthError) => error);

test("ten parallel 401s make one refresh, and each request is sent once more with its body", async () => {
  issuer.refuseTokens();
  const post = (n: number) => auth.fetch(ORDERS, { method: "POST", body: `order ${n}` });
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => post(n)));
  expect(answers.map((one) => one.status)).toEqual(Array(10).fill(200));
  expect(issuer.count("/auth/refresh")).toBe(1);
  const bodies = issuer.requests.filter((one) => one.path === "/orders").map((one) => one.text);
  expect(bodies).toHaveLength(20);
  expect(new Set(bodies).size).toBe(10);
});

test("a 401 without any challenge is refreshed, too", async () => {
  issuer.refuseTokens();
  issuer.challenge = undefined;
  expect((await auth.fetch(ORDERS)).status).toBe(200);
});

test("a second 401 is the caller's, and the same new token is not renewed for that API again", async () => {
  issuer.apiStatus = 401;
  expect((await auth.fetch(ORDERS)).status).toBe(401);
  expect((await auth.fetch(ORDERS)).status).toBe(401);
  expect(issuer.count("/orders")).toBe(3);
  expect(issuer.count("/auth/refresh")).toBe(1);
});

test("a token that changed since the request left is used without a refresh", async () => {
  let answer = () => {};
  issuer.next("/orders", async () => {
    await new Promise<void>((resolve) => (answer = resolve));
    return json({}, 401, { "WWW-Authenticate": 'Bearer error="invalid_token"' });
  });
  const response = auth.fetch(ORDERS);
  await vi.advanceTimersByTimeAsync(0);
  await auth.refresh();
  answer();
  expect((await response).status).toBe(200);
  expect(issuer.count("/auth/refresh")).toBe(1);
});

test.each([
  ["insufficient_scope at 403", 403, 'Bearer error="insufficient_scope", scope="orders.write"'],
  ["insufficient_scope at 401", 401, 'Bearer error="insufficient_scope"'],
  ["a malformed request", 401, 'Bearer error="invalid_request"'],
])("%s is never a refresh", async (_, status, challenge) => {
  Object.assign(issuer, { apiStatus: status, challenge });
  expect((await auth.fetch(ORDERS)).status).toBe(status);
  expect(issuer.count("/auth/refresh")).toBe(0);
});

test("a step-up challenge asks the application, then the request goes out once more", async () => {
  auth.dispose();
  const asked: StepUpChallenge[] = [];
  auth = tab(issuer, {
    mode: "body",
    onStepUp: async (challenge) => {
      asked.push(challenge);
      await auth.request("POST", "/auth/reauthenticate", { password: "correct" });
    },
  });
  await auth.login(ADA);
  const challenge = 'Bearer error="insufficient_user_authentication", acr_values="urn:keyturn:acr:password", max_age="300"';
  issuer.next("/payments", () => json({}, 401, { "WWW-Authenticate": challenge }));
  const response = await auth.fetch("https://api.example.com/payments", { method: "POST", body: "12 euros" });
  expect(response.status).toBe(200);
  expect(asked).toEqual([{ acrValues: "urn:keyturn:acr:password", maxAge: 300 }]);
  expect(issuer.count("/auth/refresh")).toBe(0);
});

test("without onStepUp the challenge is the caller's", async () => {
  Object.assign(issuer, { apiStatus: 401, challenge: 'Bearer error="insufficient_user_authentication"' });
  expect((await auth.fetch(ORDERS)).status).toBe(401);
  expect(issuer.count("/auth/refresh")).toBe(0);
});

test("a stream is not sent twice: the error says so, and the next try has a new token", async () => {
  issuer.refuseTokens();
  const send = () => {
    const body = new Blob(["a file"]).stream();
    return auth.fetch(ORDERS, { method: "POST", body, duplex: "half" } as RequestInit);
  };
  const error = await failure(send());
  expect(error.code).toBe("unrepeatable_body");
  expect((await send()).status).toBe(200);
});

test("a Request may be given, and is still the caller's to read", async () => {
  issuer.refuseTokens();
  const request = new Request(ORDERS, { method: "PUT", body: "tea" });
  expect((await auth.fetch(request)).status).toBe(200);
  const sent = issuer.requests.filter((one) => one.path === "/orders");
  expect(sent.map((one) => one.text)).toEqual(["tea", "tea"]);
});

test.each(["https://evil.example.com/orders", "https://api.example.com.evil.example/", "http://api.example.com/orders", "https://api.example.com:8443/"])(
  "%s is not a listed origin and gets no token",
  async (url) => {
    issuer.next("/", () => json({}));
    await auth.fetch(url);
    expect(issuer.requests.at(-1)!.headers.has("Authorization")).toBe(false);
  },
);

test("an API that cannot be reached rejects as fetch does, and nothing is refreshed", async () => {
  issuer.next("/orders", () => {
    throw new TypeError("fetch failed");
  });
  await expect(auth.fetch(ORDERS)).rejects.toBeInstanceOf(TypeError);
  expect(issuer.count("/auth/refresh")).toBe(0);
});

test("the session credential goes to the session API, the access token to what is read", async () => {
  await auth.request("GET", "/auth/me");
  expect(issuer.requests.at(-1)!.headers.get("Authorization")).toMatch(/^Bearer at-/);
  await auth.request("POST", "/auth/reauthenticate", { password: "correct" });
  const { text, headers, credentials } = issuer.requests.at(-1)!;
  expect(JSON.parse(text)).toEqual({ refreshToken: "s1.0", password: "correct" });
  expect(headers.get("X-Keyturn-Client")).toBe("app");
  expect(credentials).toBe("omit");
});

test("a proof comes with every request, and again when its maker asks for that", async () => {
  auth.dispose();
  const proofs: object[] = [];
  const proof = Object.assign(
    async (request: object) => {
      proofs.push(request);
      return `proof ${proofs.length}`;
    },
    { again: async (response: Response) => response.status === 400 },
  );
  auth = tab(issuer, { mode: "body", proof });
  issuer.next("/auth/login", () => json({ error: "use_dpop_nonce" }, 400));
  await auth.login(ADA);
  await auth.fetch(ORDERS);
  const url = "https://id.example.com/auth/login";
  expect(proofs).toEqual([
    { method: "POST", url },
    { method: "POST", url },
    { method: "GET", url: ORDERS, accessToken: await auth.token() },
  ]);
  expect(issuer.requests.at(-1)!.headers.get("DPoP")).toBe("proof 3");
});

test("a request that was refused is not repeated as somebody else who signed in meanwhile", async () => {
  const other = tab(issuer);
  auth.dispose();
  auth = tab(issuer);
  await auth.login(ADA);
  issuer.refuseTokens();
  issuer.next("/orders", async (_, ask) => {
    const made = await ask();
    await other.login(ADA);
    await vi.advanceTimersByTimeAsync(0);
    return made;
  });
  const response = await auth.fetch(ORDERS, { method: "POST", body: "mine" });
  other.dispose();
  expect(response.status).toBe(401);
  expect(issuer.count("/orders")).toBe(1);
});
