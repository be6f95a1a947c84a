// Weighs the browser clients the way `npm run size` weighs ours; prints one line each.
import { fileURLToPath } from "node:url";
import { weigh } from "../../../packages/js/tools/bundle.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const OURS = "../../../packages/js/src/index.ts";
const THEIRS = ["keycloak-js", "oidc-client-ts", "supertokens-website", "@supabase/auth-js", "@okta/okta-auth-js/core", "@auth0/auth0-spa-js"];

for (const entry of [OURS, ...THEIRS]) {
  const { minified, gzip } = await weigh(entry, { folder: here });
  console.log(JSON.stringify({ name: entry === OURS ? "@keyturn/client" : entry, minified, gzip }));
}
