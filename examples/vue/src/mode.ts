/** How the refresh token is kept; remembered for the next load of the page. */

import type { Mode } from "@keyturn/client";

export const MODES: { mode: Mode; name: string; what: string }[] = [
  {
    mode: "cookie",
    name: "Cookie",
    what: "A form here; the refresh token is an HttpOnly cookie that no script can read.",
  },
  {
    mode: "body",
    name: "Body",
    what: "A form here; the refresh token is in this page, where injected script could export it.",
  },
  {
    mode: "code",
    name: "Code",
    what: "Sign-in on the server's own page (code with PKCE); the refresh token is in this page.",
  },
];

const KEY = "demo.mode";

export function currentMode(): Mode {
  const kept = localStorage.getItem(KEY);
  return MODES.find((one) => one.mode === kept)?.mode ?? "cookie";
}

export function rememberMode(mode: Mode): void {
  localStorage.setItem(KEY, mode);
}
