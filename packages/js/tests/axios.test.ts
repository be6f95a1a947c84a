/// <reference types="node" />
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

import axios, { type AxiosInstance } from "axios";
import { afterEach, describe, expect, it, vi } from "vitest";

import { intercept } from "../src/axios.js";
import { AuthError } from "../src/index.js";
import { type MockAuth, mockAuth, type MockOptions } from "../src/mock.js";

const ADA = { id: "ada", email: "ada@example.com", name: "Ada" };
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function signedIn(options: MockOptions = {}): { auth: MockAuth; api: AxiosInstance } {
  const auth = mockAuth({ user: ADA, answers: { "GET /orders": () => Response.json([7]) }, ...options });
  const api = axios.create({ baseURL: "https://api.example.com" });
  intercept(api, auth);
  return { auth, api };
}

function refreshes(auth: MockAuth): unknown[] {
  const seen: unknown[] = [];
  auth.on("refreshed", (detail) => seen.push(detail));
  return seen;
}

function challenge(error: string, more = ""): Response {
  const headers = { "WWW-Authenticate": `Bearer error="${error}"${more}` };
  return new Response(null, { status: 401, headers });
}

describe("intercept", () => {
  it("shows a listed API the access token", async () => {
    const { auth, api } = signedIn();
    expect((await api.get("/orders", { params: { page: 2 } })).data).toEqual([7]);
    expect(auth.requests[0]?.url).toBe("https://api.example.com/orders?page=2");
    expect(auth.requests[0]?.headers.get("Authorization")).toBe(`Bearer ${await auth.token()}`);
  });

  it("shows other origins none", async () => {
    const { auth, api } = signedIn();
    const seen: IncomingHttpHeaders[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers);
      response.end("{}");
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    closing.push(() => other.close());
    await api.get(`http://127.0.0.1:${(other.address() as AddressInfo).port}/orders`);
    expect(seen).toHaveLength(1);
    expect(seen[0]).not.toHaveProperty("authorization");
    expect(auth.requests).toEqual([]);
  });

  it("refreshes once for ten parallel 401s, and repeats each request once", async () => {
    const { auth, api } = signedIn();
    const refreshed = refreshes(auth);
    auth.expire();
    const answers = await Promise.all(Array.from({ length: 10 }, () => api.get("/orders")));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    await vi.waitFor(() => expect(refreshed).toHaveLength(1));
    expect(auth.requests).toHaveLength(20);
  });

  it("repeats a body as it was", async () => {
    const bodies: unknown[] = [];
    const { auth, api } = signedIn({
      answers: {
        "POST /orders": async (request) => {
          bodies.push(await request.json());
          return Response.json({}, { status: 201 });
        },
      },
    });
    auth.expire();
    expect((await api.post("/orders", { item: "engine" })).status).toBe(201);
    expect(bodies).toEqual([{ item: "engine" }]);
    expect(await Promise.all(auth.requests.map((one) => one.json()))).toEqual([
      { item: "engine" },
      { item: "engine" },
    ]);
  });

  it("gives the second 401 to the caller", async () => {
    const { auth, api } = signedIn({ answers: { "GET /orders": () => challenge("invalid_token") } });
    await expect(api.get("/orders")).rejects.toMatchObject({ response: { status: 401 } });
    expect(auth.requests).toHaveLength(2);
    expect(auth.state.status).toBe("signedIn");
  });

  it("asks the person where an API wants a fresh proof, then repeats the request", async () => {
    const onStepUp = vi.fn(async () => undefined);
    let asked = 0;
    const { api } = signedIn({
      options: { onStepUp },
      answers: {
        "GET /orders": () =>
          asked++ === 0
            ? challenge("insufficient_user_authentication", ', max_age="300"')
            : Response.json([7]),
      },
    });
    expect((await api.get("/orders")).data).toEqual([7]);
    expect(onStepUp).toHaveBeenCalledExactlyOnceWith({ maxAge: 300 });
  });

  it("runs other interceptors once, however often a request is sent", async () => {
    const { auth, api } = signedIn();
    const other = vi.fn((config) => config);
    api.interceptors.request.use(other);
    auth.expire();
    await api.get("/orders");
    expect(other).toHaveBeenCalledOnce();
  });

  it("keeps the session through an outage, and says what it was", async () => {
    const { auth, api } = signedIn();
    auth.expire();
    auth.outage(true);
    const failed = await api.get("/orders").catch((error: unknown) => error);
    expect(axios.isAxiosError(failed)).toBe(true);
    expect(auth.state.status).toBe("signedIn");
  });

  it("says when nobody is signed in any more", async () => {
    const { auth, api } = signedIn();
    await auth.endSession();
    const failed = (await api.get("/orders").catch((error: unknown) => error)) as Error;
    expect(failed.cause).toBeInstanceOf(AuthError);
    expect(failed.cause).toMatchObject({ code: "login_required" });
    expect(auth.requests).toEqual([]);
  });

  it("can be taken away", async () => {
    const auth = mockAuth({ user: ADA });
    const adapter = vi.fn(async (config) => ({ data: [], status: 200, statusText: "", headers: {}, config }));
    const api = axios.create({ baseURL: "https://api.example.com", adapter });
    intercept(api, auth)();
    await api.get("/orders");
    expect(adapter).toHaveBeenCalledOnce();
    expect(auth.requests).toEqual([]);
  });
});
