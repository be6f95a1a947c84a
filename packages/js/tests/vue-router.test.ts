// @vitest-environment happy-dom
import { describe, expect, it, vi } from "vitest";
import { createMemoryHistory, createRouter, type Router } from "vue-router";

import { AuthError } from "../src/index.js";
import { type MockAuth, mockAuth } from "../src/mock.js";
import { requireAuth, type RequireAuthOptions } from "../src/vue.js";

const ADA = { id: "ada", email: "ada@example.com", name: "Ada" };
const page = { render: () => null };
const CODE = { mode: "code", redirectUri: "http://localhost:3000/app/callback" } as const;

function routed(auth: MockAuth, options: RequireAuthOptions = {}): Router {
  const router = createRouter({
    history: createMemoryHistory("/app"),
    routes: [
      { path: "/", component: page },
      { path: "/login", component: page },
      { path: "/callback", component: page },
      { path: "/trouble", component: page },
      {
        path: "/orders",
        component: page,
        meta: { requiresAuth: true },
        children: [{ path: ":id", component: page }],
      },
    ],
  });
  requireAuth(router, auth, { signIn: "/login", ...options });
  return router;
}

/** Tell this tab what another one tells when a person signs out there. */
function signOutInAnotherTab(auth: MockAuth): void {
  const { issuer, clientId } = auth.options;
  const other = new BroadcastChannel(`keyturn:${issuer}:${clientId}`);
  other.postMessage({ over: auth.state.sessionId, byUser: true });
  other.close();
}

const trouble = (error: unknown, to: { fullPath: string }) => ({
  path: "/trouble",
  query: { code: (error as { code: string }).code, at: to.fullPath },
});

describe("requireAuth", () => {
  it("lets everybody reach what needs nobody", async () => {
    const router = routed(mockAuth());
    await router.push("/");
    expect(router.currentRoute.value.fullPath).toBe("/");
  });

  it("keeps a deep link through the sign-in form", async () => {
    const auth = mockAuth();
    const router = routed(auth);
    await router.push("/orders/7?tab=items#total");
    expect(router.currentRoute.value.path).toBe("/login");
    const { returnTo } = router.currentRoute.value.query;
    expect(returnTo).toBe("/orders/7?tab=items#total");
    await auth.login({ email: "ada@example.com", password: "right" });
    await router.replace(String(returnTo));
    expect(router.currentRoute.value.fullPath).toBe("/orders/7?tab=items#total");
  });

  it("waits for the answer on load, and lets who is signed in through", async () => {
    const router = routed(mockAuth({ user: ADA, options: { mode: "cookie" } }));
    await router.push("/orders/7");
    expect(router.currentRoute.value.fullPath).toBe("/orders/7");
  });

  it("does not take an outage for a sign-out", async () => {
    const auth = mockAuth({ user: ADA, options: { mode: "cookie" } });
    auth.outage(true);
    const router = routed(auth, { trouble });
    await router.push("/orders/7");
    expect(router.currentRoute.value.fullPath).toBe("/trouble?code=network&at=/orders/7");
    auth.outage(false);
    await router.push("/orders/7");
    expect(router.currentRoute.value.fullPath).toBe("/orders/7");
  });

  it("fails the navigation during an outage when there is no page for trouble", async () => {
    const auth = mockAuth({ user: ADA, options: { mode: "cookie" } });
    auth.outage(true);
    const router = routed(auth);
    await expect(router.push("/orders")).rejects.toMatchObject({ code: "network" });
  });

  it("sends to the issuer and back to where somebody was going (code)", async () => {
    const auth = mockAuth({ options: CODE });
    const leave = vi.spyOn(auth, "signIn");
    const router = routed(auth);
    await router.push("/orders/7?tab=items");
    expect(leave).toHaveBeenCalledExactlyOnceWith({ returnTo: "/app/orders/7?tab=items" });
    expect(router.currentRoute.value.fullPath).toBe("/orders/7?tab=items");
  });

  it("finishes at the path of the redirect URI (code)", async () => {
    const auth = mockAuth({ options: CODE });
    vi.spyOn(auth, "handleCallback").mockResolvedValue({ returnTo: "/app/orders/7?tab=items" });
    await auth.signInAs(ADA);
    const router = routed(auth);
    await router.push("/callback?code=c&state=s&iss=i");
    expect(auth.handleCallback).toHaveBeenCalledExactlyOnceWith(
      "http://localhost:3000/app/callback?code=c&state=s&iss=i",
    );
    expect(router.currentRoute.value.fullPath).toBe("/orders/7?tab=items");
  });

  it("shows a failed callback on the page for trouble, and does not loop (code)", async () => {
    const auth = mockAuth({ options: CODE });
    vi.spyOn(auth, "handleCallback").mockRejectedValue(new AuthError("state_mismatch"));
    const router = routed(auth, { trouble });
    await router.push("/callback?code=c&state=s&iss=i");
    expect(auth.handleCallback).toHaveBeenCalledOnce();
    expect(router.currentRoute.value.path).toBe("/trouble");
    expect(router.currentRoute.value.query["code"]).toBe("state_mismatch");
  });

  it("stays where it is while the page is leaving, and looks again when it is brought back", async () => {
    const auth = mockAuth({ options: CODE });
    let times = 0;
    const never = new Promise<void>(() => undefined);
    vi.spyOn(auth, "signIn").mockImplementation(() => {
      times += 1;
      return never;
    });
    const router = routed(auth);
    const going = router.push("/orders/7");
    await vi.waitFor(() => expect(times).toBe(1));
    await auth.signInAs(ADA);
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await going;
    expect(router.currentRoute.value.fullPath).toBe("/orders/7");
    expect(times).toBe(1);
  });

  it("asks who was signed out elsewhere to sign in, and keeps the place", async () => {
    const auth = mockAuth({ user: ADA });
    const router = routed(auth);
    await router.push("/orders/7");
    await auth.endSession();
    await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe("/login?returnTo=/orders/7"));
  });

  it("does not ask again who is signed in while a logout may be under way (cookie)", async () => {
    const auth = mockAuth({ user: ADA, options: { mode: "cookie" } });
    const router = routed(auth);
    await router.push("/orders/7");
    const restore = vi.spyOn(auth, "restore");
    signOutInAnotherTab(auth);
    await vi.waitFor(() => expect(router.currentRoute.value.path).toBe("/login"));
    await router.push("/orders/8");
    expect(router.currentRoute.value.path).toBe("/login");
    expect(restore).not.toHaveBeenCalled();
  });

  it("does not leave for the issuer because of a logout in another tab (code)", async () => {
    const auth = mockAuth({ user: ADA, options: CODE });
    const leave = vi.spyOn(auth, "signIn");
    const router = routed(auth);
    await router.push("/orders/7");
    signOutInAnotherTab(auth);
    await vi.waitFor(() => expect(router.currentRoute.value.fullPath).toBe("/login?returnTo=/orders/7"));
    expect(leave).not.toHaveBeenCalled();
  });

  it("leaves who asked to sign out to the application", async () => {
    const auth = mockAuth({ user: ADA });
    const router = routed(auth);
    await router.push("/orders/7");
    await auth.logout();
    await router.isReady();
    expect(router.currentRoute.value.fullPath).toBe("/orders/7");
  });

  it("needs to know where people sign in (session API)", () => {
    expect(() => routed(mockAuth(), { signIn: undefined as never })).toThrow("signIn");
  });

  it("can be taken away", async () => {
    const auth = mockAuth();
    const router = createRouter({
      history: createMemoryHistory(),
      routes: [{ path: "/orders", component: page, meta: { requiresAuth: true } }],
    });
    requireAuth(router, auth, { signIn: "/login" })();
    await router.push("/orders");
    expect(router.currentRoute.value.path).toBe("/orders");
  });
});
