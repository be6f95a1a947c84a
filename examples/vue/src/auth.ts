/** The one sign-in of this page: the client library in the mode that was chosen. */

import { createAuth } from "@keyturn/client";
import type { Auth, StepUpChallenge } from "@keyturn/client";
import type { Config } from "./config";
import { currentMode } from "./mode";
import { watchedFetch } from "./network";
import { askPassword } from "./password";
import { seen } from "./seen";
import { addNote } from "./trail";

export const SCOPE = "openid profile email offline_access orders.read orders.write";

export function startAuth(config: Config): Auth {
  const auth = createAuth({
    issuer: config.issuer,
    clientId: config.clientId,
    apis: [config.api],
    mode: currentMode(),
    redirectUri: `${location.origin}/callback`,
    scope: SCOPE,
    // So that a second tab and a reload know of the sign-in. In mode `cookie` nothing is stored.
    storage: "local",
    fetch: watchedFetch(config),
    onStepUp: (challenge) => stepUp(auth, challenge),
  });
  auth.on("signedIn", () => addNote("signed in"));
  auth.on("refreshed", () => addNote("has a new access token"));
  auth.on("signedOut", ({ reason }) => {
    seen.forget();
    addNote(`signed out (${reason})`);
  });
  return auth;
}

/**
 * Prove the person again, as an API asked (RFC 9470). When this returns, the library sends the
 * request again; mode `code` leaves the page, and the payment's page sends it after the way back.
 */
async function stepUp(auth: Auth, challenge: StepUpChallenge): Promise<void> {
  addNote("asked to prove the person again");
  if (auth.options.mode !== "code") return askPassword();
  const { acrValues, maxAge } = challenge;
  await auth.signIn({
    returnTo: location.pathname,
    ...(acrValues === undefined ? {} : { acrValues }),
    ...(maxAge === undefined ? {} : { maxAge }),
  });
}
