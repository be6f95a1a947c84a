/**
 * The `fetch` that the client library is given: it draws each request into the trail, and lets it
 * run into the faults of the panel. Without the two it would be the browser's own.
 */

import type { Config } from "./config";
import { faults, met, nextForRefresh } from "./faults";
import type { Staged } from "./faults";
import { seen } from "./seen";
import { spoiled, tail } from "./tokens";
import { addArrow } from "./trail";
import type { Arrow, Lane } from "./trail";

export function watchedFetch(config: Config): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const sent = await describe(request, laneOf(request, config));
    const arrow = addArrow(sent);
    try {
      const staged = arrow.refresh ? nextForRefresh() : undefined;
      return await (staged ? stage(staged, request, arrow) : send(request, arrow));
    } catch (error) {
      if (arrow.outcome === "waiting") settle(arrow, "failed", "No answer");
      throw error;
    }
  };
}

function laneOf(request: Request, config: Config): Lane {
  return new URL(request.url).origin === config.api ? "api" : "auth";
}

async function describe(
  request: Request,
  to: Lane,
): Promise<Pick<Arrow, "to" | "what" | "carried" | "refresh">> {
  const path = new URL(request.url).pathname;
  const sent = request.method === "POST" ? await request.clone().text() : "";
  const refresh = path === "/auth/refresh" || sent.includes("grant_type=refresh_token");
  const what = `${request.method} ${path}`;
  return { to, what, carried: carriedBy(request, sent, refresh), refresh };
}

function carriedBy(request: Request, sent: string, refresh: boolean): string {
  const bearer = bearerOf(request);
  if (bearer) return `access token ${tail(bearer)}`;
  const token = /"refreshToken":"([^"]+)"|\brefresh_token=([^&]+)/.exec(sent);
  if (token) return `refresh token ${tail(token[1] ?? token[2] ?? "")}`;
  return refresh ? "the cookie" : "";
}

function bearerOf(request: Request): string {
  return request.headers.get("Authorization")?.replace(/^Bearer /i, "") ?? "";
}

async function send(request: Request, arrow: Arrow): Promise<Response> {
  const response = await fetch(aged(request));
  const said = await seen.read(response);
  settle(arrow, response.ok ? "ok" : "refused", said);
  return response;
}

/** Spoil the token that the panel let expire: the API then really refuses it. */
function aged(request: Request): Request {
  const bearer = bearerOf(request);
  if (!bearer || bearer !== faults.expired) return request;
  met.push("an expired access token");
  const headers = new Headers(request.headers);
  headers.set("Authorization", `Bearer ${spoiled(bearer)}`);
  return new Request(request, { headers });
}

async function stage(staged: Staged, request: Request, arrow: Arrow): Promise<Response> {
  if (staged === "drop") {
    const response = await fetch(request);
    await response.arrayBuffer();
    settle(arrow, "lost", `${response.status}, and the answer is lost`);
    throw new TypeError("the fault panel threw the answer away");
  }
  if (staged === "500") {
    settle(arrow, "failed", "500 (fault)");
    return Response.json({ error: "server_error" }, { status: 500 });
  }
  settle(arrow, "failed", `429, wait ${faults.retryAfter} s (fault)`);
  const headers = { "Retry-After": String(faults.retryAfter) };
  return Response.json({ error: "too_many_requests" }, { status: 429, headers });
}

function settle(arrow: Arrow, outcome: Arrow["outcome"], answer: string): void {
  arrow.outcome = outcome;
  arrow.answer = answer;
}
