import { AuthError, createAuth } from "../index.js";
import type {
  Auth,
  AuthEvents,
  AuthOptions,
  Credentials,
  LogoutOptions,
  SignInOptions,
  User,
} from "../types.js";
import { type Answer, Server } from "./server.js";

export interface MockOptions {
  /** Who is signed in from the start; default: nobody. */
  user?: User;
  /** Who may sign in with which password; default: everybody, with any. */
  accounts?: (credentials: Credentials) => User | undefined;
  /** What the APIs answer, by `METHOD /path`; whatever is not listed fails the request. */
  answers?: Record<string, Answer>;
  /** What the application would give to `createAuth`, as far as the test depends on it. */
  options?: Partial<AuthOptions>;
}

/** An `Auth`, and what a test may do behind its back. */
export interface MockAuth extends Auth {
  /** What was sent to the APIs, in order. */
  readonly requests: readonly Request[];
  /** Sign somebody in, instead of whoever is. */
  signInAs(user: User): Promise<void>;
  /** Let the access token expire: the next request refreshes it. */
  expire(): void;
  /** End the session at the issuer, and let the application find out: `signedOut`, `ended`. */
  endSession(): Promise<void>;
  /** Let the person be signed in on these devices, too. */
  elsewhere(...devices: string[]): void;
  /** Let the last proof of the person be `seconds` old: step-up. */
  age(seconds: number): void;
  /** Let nothing reach issuer or APIs from now on, or everything again. */
  outage(on: boolean): void;
}

let made = 0;

/**
 * Make an `Auth` without a server. It is `createAuth` itself, before an issuer and APIs in memory,
 * so state, events, refresh, retry, step-up and errors are the real ones. Redirects are not: in
 * mode `code` `signIn` signs `user` in at once, and `handleCallback` says where it was to lead.
 *
 * `user` is signed in from the start, except in mode `cookie`, where `restore` finds out.
 */
export function mockAuth({ user, accounts, answers = {}, options }: MockOptions = {}): MockAuth {
  const issuer = "https://id.mock.example";
  const server = new Server({ issuer, user, accounts: accounts ?? anybody, answers });
  const shown: AuthOptions = {
    issuer,
    clientId: `mock-${++made}`, // tabs of one client hear each other, tests must not
    mode: "body",
    apis: ["https://api.example.com"],
    grace: 0, // no test waits for the next try
    ...options,
  };
  const mode = shown.mode === "cookie" ? "cookie" : "body";
  const storage = kept(mode === "body" && user ? server.stored() : null);
  const core = createAuth({ ...shown, mode, storage, fetch: server.fetch });
  if (mode === "body") void core.restore();
  return new Mock(core, server, shown);
}

const anybody = ({ email }: Credentials): User => ({ id: `id of ${email}`, email, name: email });

/** Storage with one place, whatever it is called. */
function kept(text: string | null) {
  return {
    getItem: () => text,
    setItem: (_: string, value: string) => void (text = value),
    removeItem: () => void (text = null),
  };
}

class Mock implements MockAuth {
  #returnTo = "/";

  constructor(
    private readonly core: Auth,
    private readonly server: Server,
    readonly options: Readonly<AuthOptions>,
  ) {}

  get state() {
    return this.core.state;
  }

  get requests() {
    return this.server.requests;
  }

  async signInAs(user: User): Promise<void> {
    this.server.next = user;
    await this.core.login({ email: user.email ?? user.id, password: "mock" });
  }

  expire(): void {
    this.server.expire();
  }

  async endSession(): Promise<void> {
    this.server.session = undefined;
    await this.core.refresh().catch(expected);
  }

  elsewhere(...devices: string[]): void {
    this.server.others.push(...devices.map((one) => this.server.line(`mock-${one}`, one)));
  }

  age(seconds: number): void {
    this.server.provedAt = Date.now() - seconds * 1000;
  }

  outage(on: boolean): void {
    this.server.down = on;
  }

  async signIn(options: SignInOptions = {}): Promise<void> {
    this.#returnTo = options.returnTo ?? "/";
    await this.signInAs(this.server.user ?? anybody({ email: "mock@example.com", password: "" }));
  }

  async handleCallback(): Promise<{ returnTo: string }> {
    return { returnTo: this.#returnTo };
  }

  login = (credentials: Credentials) => this.core.login(credentials);
  restore = () => this.core.restore();
  fetch = (input: RequestInfo | URL, init?: RequestInit) => this.core.fetch(input, init);
  token = () => this.core.token();
  refresh = () => this.core.refresh();
  logout = (options?: LogoutOptions) => this.core.logout(options);
  dispose = () => this.core.dispose();

  request<T>(method: "GET" | "POST" | "DELETE", path: `/auth/${string}`, body?: object) {
    return this.core.request<T>(method, path, body);
  }

  on<K extends keyof AuthEvents>(event: K, listener: (detail: AuthEvents[K]) => void) {
    return this.core.on(event, listener);
  }
}

/** That the session is over is what was asked for. */
function expected(error: unknown): void {
  if (!(error instanceof AuthError && error.code === "session_expired")) throw error;
}
