import { describe, expect, it, vi } from "vitest";

import { account } from "../src/account.js";
import { mockAuth } from "../src/mock.js";

const ADA = { id: "ada", email: "ada@example.com", name: "Ada" };

function signedIn() {
  const auth = mockAuth({ user: ADA, accounts: ({ password }) => (password === "right" ? ADA : undefined) });
  auth.elsewhere("phone", "tablet");
  return { auth, mine: account(auth), ended: reasons(auth) };
}

function reasons(auth: ReturnType<typeof mockAuth>): string[] {
  const seen: string[] = [];
  auth.on("signedOut", ({ reason }) => seen.push(reason));
  return seen;
}

async function devices(mine: ReturnType<typeof account>) {
  return (await mine.sessions()).map(({ device, current }) => ({ device, current }));
}

describe("account", () => {
  it("says who is signed in", async () => {
    expect(await signedIn().mine.user()).toEqual(ADA);
  });

  it("lists where, and marks this page", async () => {
    expect(await devices(signedIn().mine)).toEqual([
      { device: null, current: true },
      { device: "phone", current: false },
      { device: "tablet", current: false },
    ]);
  });

  it("ends one session elsewhere and stays signed in", async () => {
    const { auth, mine } = signedIn();
    const phone = (await mine.sessions()).find((one) => one.device === "phone");
    await mine.endSession(phone?.id ?? "");
    expect((await devices(mine)).map((one) => one.device)).toEqual([null, "tablet"]);
    expect(auth.state.status).toBe("signedIn");
  });

  it("takes the end of its own session for a logout", async () => {
    const { auth, mine, ended } = signedIn();
    await mine.endSession(auth.state.sessionId ?? "");
    await vi.waitFor(() => expect(ended).toEqual(["user"]));
    expect(auth.state.status).toBe("signedOut");
  });

  it("refuses a session that is not there", async () => {
    await expect(signedIn().mine.endSession("nobody's")).rejects.toMatchObject({ status: 404 });
  });

  it("asks for the password again, and keeps the session when it is wrong", async () => {
    const { auth, mine } = signedIn();
    const before = await auth.token();
    await expect(mine.reauthenticate("wrong")).rejects.toMatchObject({ code: "invalid_credentials" });
    expect(await auth.token()).toBe(before);
    await mine.reauthenticate("right");
    expect(await auth.token()).not.toBe(before);
  });

  it("changes a password after a proof, which ends the other sessions", async () => {
    const { auth, mine } = signedIn();
    auth.age(600);
    await expect(mine.changePassword("a new password")).rejects.toMatchObject({ code: "step_up_required" });
    await mine.reauthenticate("right");
    await mine.changePassword("a new password");
    expect(await devices(mine)).toEqual([{ device: null, current: true }]);
  });

  it("ends every other session", async () => {
    const { auth, mine, ended } = signedIn();
    await mine.logoutEverywhere({ exceptCurrent: true });
    expect(await devices(mine)).toEqual([{ device: null, current: true }]);
    expect(auth.state.status).toBe("signedIn");
    expect(ended).toEqual([]);
  });

  it("ends every session, this one first", async () => {
    const { auth, mine, ended } = signedIn();
    await mine.logoutEverywhere();
    expect(auth.state.status).toBe("signedOut");
    await vi.waitFor(() => expect(ended).toEqual(["user"]));
    await expect(mine.user()).rejects.toMatchObject({ code: "login_required" });
  });

  it("keeps the session when the server is away", async () => {
    const { auth, mine, ended } = signedIn();
    auth.outage(true);
    await expect(mine.user()).rejects.toMatchObject({ code: "network", retryable: true });
    expect(auth.state.status).toBe("signedIn");
    expect(ended).toEqual([]);
  });
});
