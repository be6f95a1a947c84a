/**
 * The network's other end: an issuer that rotates by keyturn's rules, with its grace, and an API
 * that knows which access tokens are good. Faults are put in front of it, answer by answer.
 */

const API = "https://api.example.com";
export const ISSUER = "https://id.example.com";

interface Session {
  id: string;
  generation: number;
  rotatedAt: number;
  over: boolean;
}

/** Answers instead of, or loses the answer of, one request. */
type Fault = (request: Request, answer: () => Promise<Response>) => Promise<Response> | Response;

export class Issuer {
  readonly requests: { method: string; path: string; headers: Headers; text: string; credentials: string; keepalive: boolean }[] = [];
  readonly faults: [string, Fault][] = [];
  readonly sessions = new Map<string, Session>();
  readonly good = new Set<string>();
  jar: string | undefined;
  grace = 10;
  expiresIn = 600;
  apiStatus: number | undefined;
  challenge: string | undefined = 'Bearer error="invalid_token"';
  nonce: string | undefined;
  #made = 0;

  /** Let `fault` meet the next request whose path begins so. */
  next(path: string, fault: Fault, times = 1): void {
    for (let i = 0; i < times; i++) this.faults.push([path, fault]);
  }

  count(path: string): number {
    return this.requests.filter((one) => one.path === path).length;
  }

  readonly fetch = async (input: RequestInfo | URL): Promise<Response> => {
    const request = input as Request;
    const { method, headers, credentials, keepalive } = request;
    const path = new URL(request.url).pathname;
    const text = await request.clone().text();
    this.requests.push({ method, path, headers, text, credentials, keepalive });
    const at = this.faults.findIndex(([wanted]) => path.startsWith(wanted));
    const answer = () => this.#answer(path, request, text);
    return at < 0 ? answer() : this.faults.splice(at, 1)[0]![1](request, answer);
  };

  async #answer(path: string, request: Request, text: string): Promise<Response> {
    if (request.url.startsWith(API)) return this.#api(request);
    if (path.startsWith("/oauth2/")) return this.#oauth(path, new URLSearchParams(text));
    const body = text ? JSON.parse(text) : {};
    if (path === "/auth/login") return this.#login(body);
    if (path === "/auth/me") return this.#api(request);
    const token = body.refreshToken ?? (request.credentials === "include" ? this.jar : undefined);
    if (path === "/auth/refresh") return this.#refresh(token, body.refreshToken === undefined);
    if (path === "/auth/reauthenticate") return json({ ...this.#access(this.#of(token)!), tokenType: "Bearer" });
    const session = this.#of(token);
    if (session) session.over = true;
    if (body.refreshToken === undefined) this.jar = undefined;
    return path === "/auth/logout-all" ? json({ ended: 1 }) : new Response(null, { status: 204 });
  }

  #api(request: Request): Response {
    const token = request.headers.get("Authorization")?.split(" ")[1];
    if (token && this.good.has(token) && !this.apiStatus) return json({ ok: true });
    const headers: Record<string, string> = this.challenge === undefined ? {} : { "WWW-Authenticate": this.challenge };
    return json({}, this.apiStatus ?? 401, headers);
  }

  #login(body: { password: string; transport: string }): Response {
    if (body.password !== "correct") return json({ error: "invalid_credentials" }, 401);
    const session = this.begin();
    const token = tokenOf(session);
    const byCookie = body.transport === "cookie";
    if (byCookie) {
      const before = this.#of(this.jar);
      if (before) before.over = true;
      this.jar = token;
    }
    const user = { id: "u1", email: "ada@example.com", name: "Ada" };
    return json({ ...this.#access(session), ...(byCookie ? {} : { refreshToken: token }), user });
  }

  begin(): Session {
    const session = { id: `s${++this.#made}`, generation: 0, rotatedAt: -Infinity, over: false };
    this.sessions.set(session.id, session);
    return session;
  }

  #of(token: string | undefined): Session | undefined {
    const session = this.sessions.get(token?.split(".")[0] ?? "");
    return session?.over ? undefined : session;
  }

  /** rotation.md's cases 3, 5 and 6. */
  #rotate(token: string | undefined): Session | undefined {
    const session = this.#of(token);
    if (!session) return undefined;
    const generation = Number(token!.split(".")[1]);
    const inGrace = Date.now() - session.rotatedAt < this.grace * 1000;
    if (generation === session.generation) {
      if (inGrace) return session;
      session.generation++;
      session.rotatedAt = Date.now();
      return session;
    }
    if (generation === session.generation - 1 && inGrace) return session;
    session.over = true;
    return undefined;
  }

  #refresh(token: string | undefined, byCookie: boolean): Response {
    const session = this.#rotate(token);
    if (!session) return json({ error: "invalid_grant" }, 401);
    if (byCookie) this.jar = tokenOf(session);
    return json({ ...this.#access(session), ...(byCookie ? {} : { refreshToken: tokenOf(session) }) });
  }

  #access(session: Session): object {
    const accessToken = `at-${++this.#made}`;
    this.good.add(accessToken);
    return { accessToken, tokenType: "Bearer", expiresIn: this.expiresIn, sessionId: session.id };
  }

  #oauth(path: string, form: URLSearchParams): Response {
    if (path === "/oauth2/revoke") {
      const session = this.#of(form.get("token") ?? undefined);
      if (session) session.over = true;
      return new Response(null, { status: 200 });
    }
    const byCode = form.get("grant_type") === "authorization_code";
    const session = byCode ? this.begin() : this.#rotate(form.get("refresh_token") ?? undefined);
    if (!session) return json({ error: "invalid_grant" }, 400);
    const access = this.#access(session) as { accessToken: string };
    const claims = { iss: ISSUER, aud: "app", sid: session.id, ...(byCode ? this.idClaims : {}) };
    return json({
      access_token: access.accessToken,
      token_type: "Bearer",
      expires_in: this.expiresIn,
      refresh_token: tokenOf(session),
      id_token: `h.${btoa(JSON.stringify(claims)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "")}.s`,
    });
  }

  /** What the next ID token of a code says beside `iss`, `aud` and `sid`. */
  idClaims: Record<string, unknown> = {};

  /** The APIs take none of the tokens that are out. */
  refuseTokens(): void {
    this.good.clear();
  }
}

function tokenOf(session: Session): string {
  return `${session.id}.${session.generation}`;
}

export function json(body: object, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
}

/** The request never arrives. */
export const refused: Fault = () => {
  throw new TypeError("fetch failed");
};

/** The request arrives; its answer does not. */
export const lost: Fault = async (_, answer) => {
  await answer();
  throw new TypeError("fetch failed");
};

/** The server cannot be asked at the moment, or not so often. */
export function busy(status: number, retryAfter?: number): Fault {
  const headers: Record<string, string> = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
  const error = status === 429 ? "too_many_requests" : "temporarily_unavailable";
  return () => json({ error }, status, headers);
}
