import type { Tokens } from "../session.js";
import type { Credentials, User } from "../types.js";

/** What an API answers in a test. */
export type Answer = (request: Request) => Response | Promise<Response>;

export interface ServerOptions {
  issuer: string;
  user: User | undefined;
  /** Who may sign in: return the user, or nothing for wrong credentials. */
  accounts: (credentials: Credentials) => User | undefined;
  /** By `METHOD /path`. */
  answers: Readonly<Record<string, Answer>>;
}

interface Line {
  id: string;
  clientName: string;
  device: string | null;
  ip: string | null;
  createdAt: string;
  lastUsedAt: string;
}

interface Login extends Credentials {
  transport?: "body" | "cookie";
}

const RECENT = 300_000;

/** An issuer and its APIs in memory: what a real one answers, without passwords or keys. */
export class Server {
  /** What applications sent to APIs, in order. */
  readonly requests: Request[] = [];
  user: User | undefined;
  session: Line | undefined;
  others: Line[] = [];
  /** Who signs in next, whatever the credentials. */
  next: User | undefined;
  /** Answer nothing: as if the network were down. */
  down = false;
  /** When the person last gave a password, in milliseconds. */
  provedAt = 0;
  #tokens = 0;
  #sessions = 0;
  #good: string | undefined;

  constructor(private readonly options: ServerOptions) {
    if (options.user) this.begin(options.user);
  }

  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    if (this.down) throw new TypeError("Failed to fetch");
    const { origin, pathname } = new URL(request.url);
    if (origin !== this.options.issuer) return this.#api(request, pathname);
    const door = this.#doors[`${request.method} ${pathname}`] ?? this.#deleted(request, pathname);
    return door ? door(request) : refused(404, "not_found");
  };

  begin(user: User): void {
    this.user = user;
    this.session = this.line(`mock-session-${++this.#sessions}`);
    this.provedAt = Date.now();
  }

  /** What the client would have kept of the session. */
  stored(): string {
    const { refreshExpiresIn, sessionId, ...tokens } = this.#tokensOf();
    const kept: Tokens = { ...tokens, sessionId, at: Date.now(), turn: 0 };
    return JSON.stringify(kept);
  }

  /** From now on the access token is refused, as an expired one is. */
  expire(): void {
    this.#good = undefined;
  }

  line(id: string, device: string | null = null): Line {
    const now = new Date().toISOString();
    return { id, clientName: "Mock", device, ip: null, createdAt: now, lastUsedAt: now };
  }

  async #api(request: Request, pathname: string): Promise<Response> {
    this.requests.push(request.clone());
    const answer = this.options.answers[`${request.method} ${pathname}`];
    if (!answer) throw new Error(`mockAuth: no answer for ${request.method} ${pathname}`);
    const token = request.headers.get("Authorization");
    if (token !== null && !this.#isGood(token)) return unauthorized("invalid_token");
    return answer(request);
  }

  #isGood(authorization: string): boolean {
    return this.#good !== undefined && authorization === `Bearer ${this.#good}`;
  }

  readonly #doors: Readonly<Record<string, Answer>> = {
    "POST /auth/login": async (request) => {
      const { transport, ...credentials } = (await request.json()) as Login;
      const user = this.next ?? this.options.accounts(credentials);
      this.next = undefined;
      if (!user) return refused(401, "invalid_credentials");
      this.begin(user);
      return Response.json({ ...this.#given(transport === "cookie"), user });
    },
    "POST /auth/refresh": async (request) => {
      const { refreshToken } = (await request.json()) as { refreshToken?: string };
      return this.#credential(() => Response.json(this.#given(refreshToken === undefined)));
    },
    "POST /auth/logout": () => {
      this.session = undefined;
      return new Response(null, { status: 204 });
    },
    "GET /auth/me": (request) => this.#bearer(request, () => Response.json(this.user)),
    "GET /auth/sessions": (request) => this.#bearer(request, () => Response.json(this.#listed())),
    "POST /auth/logout-all": async (request) => {
      const { exceptCurrent } = (await request.json()) as { exceptCurrent?: boolean };
      return this.#credential(() => {
        const ended = this.others.length + (exceptCurrent ? 0 : 1);
        this.others = [];
        if (!exceptCurrent) this.session = undefined;
        return Response.json({ ended });
      });
    },
    "POST /auth/reauthenticate": async (request) => {
      const { password } = (await request.json()) as { password: string };
      return this.#credential((user) => {
        if (!this.options.accounts({ email: user.email ?? "", password })) {
          return refused(401, "invalid_credentials");
        }
        this.provedAt = Date.now();
        const { refreshExpiresIn, ...access } = this.#given(true);
        return Response.json(access);
      });
    },
    "POST /auth/password": () =>
      this.#credential(() => {
        if (Date.now() - this.provedAt > RECENT) {
          return unauthorized("insufficient_user_authentication", ", max_age=300");
        }
        this.others = [];
        return new Response(null, { status: 204 });
      }),
  };

  #deleted(request: Request, pathname: string): Answer | undefined {
    const id = /^\/auth\/sessions\/(.+)$/.exec(pathname)?.[1];
    if (request.method !== "DELETE" || id === undefined) return undefined;
    return () =>
      this.#credential(() => {
        const known = [this.session, ...this.others].some((one) => one?.id === id);
        if (!known) return refused(404, "not_found");
        this.others = this.others.filter((one) => one.id !== id);
        if (this.session?.id === id) this.session = undefined;
        return new Response(null, { status: 204 });
      });
  }

  #listed(): object {
    const mine = this.session ? [{ ...this.session, current: true }] : [];
    return { sessions: [...mine, ...this.others.map((one) => ({ ...one, current: false }))] };
  }

  #bearer(request: Request, then: () => Response): Response {
    const token = request.headers.get("Authorization") ?? "";
    return this.session && this.#isGood(token) ? then() : unauthorized("invalid_token");
  }

  #credential(then: (user: User) => Response): Response {
    return this.session && this.user ? then(this.user) : refused(401, "invalid_grant");
  }

  /** A refresh token that travels in a cookie is not in the body. */
  #given(byCookie: boolean) {
    const { refreshToken, ...rest } = this.#tokensOf();
    return byCookie ? rest : { ...rest, refreshToken };
  }

  #tokensOf() {
    this.#good = `mock-access-${++this.#tokens}`;
    return {
      accessToken: this.#good,
      tokenType: "Bearer",
      expiresIn: 600,
      refreshToken: `mock-refresh-${this.#tokens}`,
      refreshExpiresIn: 604_800,
      sessionId: this.session?.id ?? "",
    };
  }
}

function refused(status: number, error: string, challenge?: string): Response {
  const headers = new Headers(challenge === undefined ? [] : [["WWW-Authenticate", challenge]]);
  return Response.json({ error, error_description: error }, { status, headers });
}

function unauthorized(error: string, more = ""): Response {
  return refused(401, error, `Bearer error="${error}"${more}`);
}
