/** What the server's answers say about the sign-in, to be shown: nothing is decided by it. */

import { reactive } from "vue";
import { rightNow } from "./clock";
import { tail } from "./tokens";

interface Tokens {
  accessToken?: string;
  access_token?: string;
  refreshToken?: string;
  refresh_token?: string;
  refreshExpiresIn?: number;
  error?: string;
}

const KEY = "demo.ends";

function kept(): number | undefined {
  const text = localStorage.getItem(KEY);
  return text ? Number(text) : undefined;
}

export const seen = reactive({
  /** When the sign-in ends at the latest, in milliseconds since the epoch, where it was said. */
  endsAt: kept(),

  /** Return an answer in words; its tokens by their last letters. The answer can still be read. */
  async read(response: Response): Promise<string> {
    const status = `${response.status} ${response.statusText}`.trim();
    if (!response.headers.get("Content-Type")?.includes("json")) return status;
    const said = (await response.clone().json()) as Tokens;
    if (said.refreshExpiresIn !== undefined) seen.note(said.refreshExpiresIn);
    const words = [
      named("access token", said.accessToken ?? said.access_token),
      named("refresh token", said.refreshToken ?? said.refresh_token),
      said.error ?? "",
    ].filter(Boolean);
    return [status, ...words].join(", ");
  },

  note(seconds: number): void {
    seen.endsAt = rightNow() + seconds * 1000;
    localStorage.setItem(KEY, String(seen.endsAt));
  },

  /** It was about a sign-in that is over. */
  forget(): void {
    seen.endsAt = undefined;
    localStorage.removeItem(KEY);
  },
});

function named(name: string, token: string | undefined): string {
  return token ? `${name} ${tail(token)}` : "";
}
