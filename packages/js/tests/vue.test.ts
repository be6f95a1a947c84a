// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from "vitest";
import { createApp, defineComponent, h, nextTick } from "vue";

import { AuthError } from "../src/index.js";
import { type MockAuth, mockAuth } from "../src/mock.js";
import { createKeyturn, type Keyturn, type KeyturnOptions, useAuth } from "../src/vue.js";

const ADA = { id: "ada", email: "ada@example.com", name: "Ada" };
const GRACE = { id: "grace", email: "grace@example.com", name: "Grace" };
const mounted: (() => void)[] = [];

function mount(auth: MockAuth, options: KeyturnOptions = {}) {
  let keyturn: Keyturn | undefined;
  const page = defineComponent(() => {
    keyturn = useAuth();
    const { status, user } = keyturn;
    return () => h("p", `${status.value} ${user.value?.name ?? "nobody"}`);
  });
  const app = createApp(page).use(createKeyturn(auth, options));
  const root = document.createElement("div");
  app.mount(root);
  mounted.push(() => app.unmount());
  if (!keyturn) throw new Error("the page was not set up");
  return { keyturn, text: () => root.textContent ?? "", unmount: () => app.unmount() };
}

afterEach(() => {
  for (const unmount of mounted.splice(0)) unmount();
});

describe("createKeyturn and useAuth", () => {
  it("show who is signed in after a reload", async () => {
    const { text } = mount(mockAuth({ user: ADA }));
    await vi.waitFor(() => expect(text()).toBe("signedIn Ada"));
  });

  it("say loading, not signed out, until it is known", async () => {
    const { text } = mount(mockAuth());
    expect(text()).toBe("loading nobody");
    await vi.waitFor(() => expect(text()).toBe("signedOut nobody"));
  });

  it("say unavailable during an outage, and recover by retry", async () => {
    const auth = mockAuth({ user: ADA, options: { mode: "cookie" } });
    auth.outage(true);
    const { keyturn, text } = mount(auth);
    await vi.waitFor(() => expect(text()).toBe("unavailable nobody"));
    expect(keyturn.error.value).toBeInstanceOf(AuthError);
    expect(keyturn.error.value).toMatchObject({ code: "network", retryable: true });
    auth.outage(false);
    await keyturn.retry();
    await vi.waitFor(() => expect(text()).toBe("signedIn Ada"));
    expect(keyturn.error.value).toBeUndefined();
  });

  it("take the person from the answer to a login, without another request", async () => {
    const auth = mockAuth();
    const read = vi.spyOn(auth, "request");
    const { keyturn, text } = mount(auth);
    const { login } = keyturn;
    await login({ email: "ada@example.com", password: "right" });
    await nextTick();
    expect(text()).toBe("signedIn ada@example.com");
    expect(read).not.toHaveBeenCalled();
  });

  it("keep nobody after a refused login", async () => {
    const auth = mockAuth({ accounts: () => undefined });
    const { keyturn, text } = mount(auth);
    const refused = keyturn.login({ email: "ada@example.com", password: "wrong" });
    await expect(refused).rejects.toMatchObject({ code: "invalid_credentials" });
    await vi.waitFor(() => expect(text()).toBe("signedOut nobody"));
  });

  it("forget the person at once when the session ends", async () => {
    const auth = mockAuth({ user: ADA });
    const { text } = mount(auth);
    await vi.waitFor(() => expect(text()).toBe("signedIn Ada"));
    await auth.endSession();
    await vi.waitFor(() => expect(text()).toBe("signedOut nobody"));
  });

  it("show the other person when another sign-in takes over", async () => {
    const auth = mockAuth({ user: ADA });
    const { text } = mount(auth);
    await vi.waitFor(() => expect(text()).toBe("signedIn Ada"));
    await auth.signInAs(GRACE);
    await vi.waitFor(() => expect(text()).toBe("signedIn Grace"));
  });

  it("drop a name that arrives after its session has ended", async () => {
    const auth = mockAuth({ user: ADA });
    let tell = (_: typeof ADA): void => undefined;
    const late = new Promise<typeof ADA>((resolve) => (tell = resolve));
    const { keyturn } = mount(auth, { user: () => late });
    await vi.waitFor(() => expect(keyturn.status.value).toBe("signedIn"));
    await auth.endSession();
    await vi.waitFor(() => expect(keyturn.status.value).toBe("signedOut"));
    tell(ADA);
    await late;
    await nextTick();
    expect(keyturn.user.value).toBeUndefined();
  });

  it("read the name once, though reading refreshes, and once more by retry", async () => {
    const auth = mockAuth({ user: ADA });
    let refreshed = 0;
    auth.on("refreshed", () => (refreshed += 1));
    const read = vi.fn(async () => {
      await auth.refresh();
      throw new AuthError("server", {});
    });
    const { keyturn } = mount(auth, { user: read });
    await vi.waitFor(() => expect(keyturn.error.value).toMatchObject({ code: "server" }));
    await vi.waitFor(() => expect(refreshed).toBe(1));
    expect(read).toHaveBeenCalledTimes(1);
    read.mockResolvedValue(ADA as never);
    await keyturn.retry();
    await vi.waitFor(() => expect(keyturn.user.value).toEqual(ADA));
    expect(read).toHaveBeenCalledTimes(2);
    expect(keyturn.error.value).toBeUndefined();
  });

  it("are let go with the application, while another one goes on", async () => {
    const auth = mockAuth({ user: ADA });
    const first = mount(auth);
    const second = mount(auth);
    await vi.waitFor(() => expect(second.text()).toBe("signedIn Ada"));
    first.unmount();
    mounted.splice(0, 1);
    await auth.endSession();
    await vi.waitFor(() => expect(second.text()).toBe("signedOut nobody"));
    expect(first.keyturn.state.value.status).toBe("signedIn");
  });

  it("tell who forgot the plugin", () => {
    const app = createApp(defineComponent(() => (useAuth(), () => h("p"))));
    app.config.warnHandler = () => undefined;
    expect(() => app.mount(document.createElement("div"))).toThrow("app.use(createKeyturn(auth))");
  });
});
