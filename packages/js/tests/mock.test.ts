import { describe, expect, it, vi } from "vitest";

import { AuthError } from "../src/index.js";
import { type MockAuth, mockAuth } from "../src/mock.js";

const ADA = { id: "ada", email: "ada@example.com", name: "Ada" };
const ORDERS = "https://api.example.com/orders";
const answers = { "GET /orders": () => Response.json([7]) };

function events(auth: MockAuth): string[] {
  const seen: string[] = [];
  auth.on("signedIn", () => seen.push("signedIn"));
  auth.on("refreshed", () => seen.push("refreshed"));
  auth.on("signedOut", ({ reason }) => seen.push(`signedOut: ${reason}`));
  return seen;
}

describe("mockAuth", () => {
  it("has nobody signed in, or the user at once", () => {
    expect(mockAuth().state.status).toBe("signedOut");
    expect(mockAuth({ user: ADA }).state).toMatchObject({ status: "signedIn", sessionId: "mock-session-1" });
  });

  it("finds the user by restore in mode cookie, as an application has to", async () => {
    const auth = mockAuth({ user: ADA, options: { mode: "cookie" } });
    expect(auth.state.status).toBe("signedOut");
    expect(await auth.restore()).toBe(true);
    expect(auth.state.status).toBe("signedIn");
    expect(await mockAuth({ options: { mode: "cookie" } }).restore()).toBe(false);
  });

  it("lets everybody in, or whom the test says", async () => {
    const login = { email: "ada@example.com", password: "right" };
    expect(await mockAuth().login(login)).toMatchObject({ email: "ada@example.com" });
    const picky = mockAuth({ accounts: ({ password }) => (password === "right" ? ADA : undefined) });
    const refused = picky.login({ ...login, password: "wrong" });
    await expect(refused).rejects.toBeInstanceOf(AuthError);
    await expect(refused).rejects.toMatchObject({ code: "invalid_credentials" });
    expect(await picky.login(login)).toEqual(ADA);
  });

  it("answers for APIs, and keeps what they were sent", async () => {
    const auth = mockAuth({ user: ADA, answers });
    expect(await (await auth.fetch(ORDERS)).json()).toEqual([7]);
    expect(auth.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([`GET ${ORDERS}`]);
  });

  it("fails a request nobody thought of, and says which", async () => {
    const failed = await mockAuth({ user: ADA })
      .fetch("https://api.example.com/forgotten")
      .catch((error: Error) => error);
    expect(String((failed as Error).cause ?? failed)).toContain("no answer for GET /forgotten");
  });

  it("refreshes an expired token once", async () => {
    const auth = mockAuth({ user: ADA, answers });
    const seen = events(auth);
    auth.expire();
    expect((await auth.fetch(ORDERS)).status).toBe(200);
    await vi.waitFor(() => expect(seen).toEqual(["refreshed"]));
  });

  it("ends a session as the issuer would", async () => {
    const auth = mockAuth({ user: ADA, answers });
    const seen = events(auth);
    await auth.endSession();
    await vi.waitFor(() => expect(seen).toEqual(["signedOut: ended"]));
    await expect(auth.token()).rejects.toMatchObject({ code: "login_required" });
  });

  it("keeps people signed in through an outage", async () => {
    const auth = mockAuth({ user: ADA, answers });
    const seen = events(auth);
    auth.outage(true);
    await expect(auth.refresh()).rejects.toMatchObject({ code: "network", retryable: true });
    expect(auth.state.status).toBe("signedIn");
    auth.outage(false);
    expect((await auth.fetch(ORDERS)).status).toBe(200);
    expect(seen).not.toContain("signedOut: ended");
  });

  it("signs in by redirect without one (code)", async () => {
    const auth = mockAuth({ user: ADA, options: { mode: "code", redirectUri: "https://app.example.com/cb" } });
    await auth.logout();
    await auth.signIn({ returnTo: "/orders" });
    expect(auth.state.status).toBe("signedIn");
    expect(await auth.handleCallback()).toEqual({ returnTo: "/orders" });
  });

  it("is nobody else's tab", async () => {
    const one = mockAuth({ user: ADA });
    const two = mockAuth({ user: ADA });
    const heard = vi.fn();
    two.on("signedOut", heard);
    await one.logout();
    expect(two.state.status).toBe("signedIn");
    expect(heard).not.toHaveBeenCalled();
  });
});
