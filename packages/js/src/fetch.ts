import { AuthError } from "./errors.js";
import type { Send } from "./request.js";
import type { Tokens } from "./session.js";
import type { AuthOptions, StepUpChallenge } from "./types.js";

/** A request that is sent once more if need be, unless its body can be read only once. */
export type Ask = (request: Request, isStream?: boolean) => Promise<Response>;

/**
 * Make a fetch that shows the access token, and once more after a 401 that a new one may cure
 * (RFC 6750 section 3.1, RFC 9470). A second 401 is the caller's; so is 403: no refresh widens a scope.
 *
 * `token` gives one that is good for some time yet; `renewed` one that is not the refused one: what
 * has come meanwhile, or what a refresh brings.
 */
export function protectedFetch(
  send: Send,
  token: () => Promise<Tokens>,
  renewed: (refused: Tokens) => Promise<Tokens>,
  onStepUp: AuthOptions["onStepUp"],
): Ask {
  // An API that refuses even a new token has reasons of its own, and that token is not renewed for it.
  let hopeless: string | undefined;

  return async (request, isStream) => {
    const { origin } = new URL(request.url);
    const copy = isStream ? undefined : request.clone();
    const sent = await token();
    const response = await send(request, sent);
    if (response.status !== 401) return response;
    const challenge = response.headers.get("WWW-Authenticate") ?? "";
    const error = parameter(challenge, "error");
    const stepUp = error === "insufficient_user_authentication";
    if (stepUp) {
      if (!onStepUp) return response;
      await onStepUp(wanted(challenge));
    } else if ((error && error !== "invalid_token") || hopeless === origin + sent.accessToken) return response;
    const next = await renewed(sent);
    // What one person asked for is not asked again as another, who signed in meanwhile.
    if (!stepUp && next.sessionId !== sent.sessionId) return response;
    if (!copy) throw new AuthError("unrepeatable_body", { status: 401 });
    const second = await send(copy, next);
    if (second.status === 401) hopeless = origin + next.accessToken;
    return second;
  };
}

function wanted(challenge: string): StepUpChallenge {
  const age = parameter(challenge, "max_age");
  return { acrValues: parameter(challenge, "acr_values"), maxAge: age ? Number(age) : undefined };
}

/** Return a parameter of a challenge: a quoted string, or a token (RFC 9110 section 11.2). */
function parameter(challenge: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="?([^",]*)`).exec(challenge)?.[1];
}
