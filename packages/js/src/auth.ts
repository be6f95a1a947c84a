import { codeDoor } from "./code.js";
import { type Answer, tokensFrom } from "./door.js";
import { AuthError } from "./errors.js";
import { events as openEvents } from "./events.js";
import { margin } from "./expiry.js";
import { protectedFetch } from "./fetch.js";
import { keepAlive } from "./keep_alive.js";
import { locked } from "./lock.js";
import { refresher } from "./refresh.js";
import { sender } from "./request.js";
import { type Tokens, openSession } from "./session.js";
import { sessionApi } from "./session_api.js";
import { cleanAddress } from "./transaction.js";
import type { Auth, AuthOptions, Credentials, LogoutOptions, User } from "./types.js";

/**
 * Make a client for one application. It does nothing until it is asked, needs no `window` to be
 * made, and several get along; `dispose()` lets go of what one holds.
 */
export function createAuth(given: AuthOptions): Auth {
  const options = Object.freeze({ ...given, mode: given.mode ?? "cookie" });
  const { issuer, clientId, mode } = options;
  const origins = options.apis.map((api) => new URL(api).origin);
  const key = `keyturn:${issuer}:${clientId}`;
  const plain = options.fetch ?? ((request: Request) => globalThis.fetch(request));
  const send = sender(plain, options.proof);
  const api = sessionApi(options, send);
  const code = codeDoor(options, send);
  const door = mode === "code" ? code : api;
  const events = openEvents();
  // Nobody is left to be told that giving up failed: then the session lasts until it expires.
  const session = openSession(options, key, events, (tokens) => void door.revoke(tokens).catch(() => {}));
  const refresh = refresher(session, door, key, options.grace);
  const ask = protectedFetch(send, token, renewed, options.onStepUp);
  /** Whether it is known who was signed in when the page was loaded. */
  let restored = false;
  let handling: Promise<{ returnTo: string }> | undefined;

  function current(): Tokens {
    const tokens = session.read();
    if (!tokens) throw new AuthError("login_required");
    return tokens;
  }

  async function restore(): Promise<boolean> {
    const known = session.read();
    if (session.secondsLeft() <= 0 && (known || mode === "cookie")) {
      await refresh(true).catch((error) => {
        if (error.code !== "session_expired") throw error;
      });
    }
    restored = true;
    return !!session.read();
  }

  async function signedIn(): Promise<Tokens> {
    if (!session.read() && !restored) await restore();
    return current();
  }

  async function token(): Promise<Tokens> {
    if (margin(await signedIn()) >= session.secondsLeft()) {
      await refresh().catch((error) => {
        // A token that is still good stays in use, whatever became of the refresh.
        if (session.secondsLeft() <= 0) throw error;
      });
    }
    return current();
  }

  async function renewed(refused: Tokens): Promise<Tokens> {
    if (current().accessToken === refused.accessToken) await refresh();
    return current();
  }

  async function login(credentials: Credentials): Promise<User> {
    // In turn with refreshes: a late one's cookie must not replace the new sign-in's.
    return locked(key, async () => {
      const { tokens, user } = await api.login(credentials);
      session.begin(tokens);
      return user;
    });
  }

  async function callback(url = location.href): Promise<{ returnTo: string }> {
    if (url === location.href) cleanAddress();
    const { tokens, returnTo } = await code.callback(url);
    session.begin(tokens);
    return { returnTo };
  }

  async function logout({ everywhere, returnTo }: LogoutOptions = {}): Promise<void> {
    const tokens = session.read();
    restored = true;
    session.end("user");
    try {
      await (everywhere ? api : door).revoke(tokens, everywhere);
    } finally {
      if (mode === "code") code.leave(tokens, returnTo);
    }
  }

  async function request<T>(method: string, path: string, body: object = {}): Promise<T> {
    if (method === "GET") {
      await token();
      return api.get(path, ask);
    }
    await signedIn();
    // In turn, too: else a refresh under way would make this answer a late one, and a proof worthless.
    return locked(key, async () => {
      const sent = session.sent();
      const answer = await api.post<T & Answer>(path, body, sent.tokens, { method });
      if (answer?.accessToken) session.renew(sent, tokensFrom(answer, sent.tokens));
      return answer;
    });
  }

  async function apiFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    if (!origins.includes(new URL(request.url).origin)) return plain(request);
    return ask(request, init?.body instanceof ReadableStream);
  }

  function due(): number | undefined {
    const tokens = session.read();
    return tokens && Math.max(0, session.secondsLeft() - margin(tokens)) * 1000;
  }

  const stop = options.keepAlive && globalThis.document ? keepAlive(events, due, token) : undefined;

  return {
    options,
    get state() {
      return session.state;
    },
    login,
    signIn: code.signIn,
    handleCallback: (url) => (handling ??= callback(url).finally(() => (handling = undefined))),
    restore,
    fetch: apiFetch,
    token: async () => (await token()).accessToken,
    refresh: () => refresh(true),
    logout,
    request,
    on: events.on,
    dispose() {
      stop?.();
      session.close();
    },
  };
}
