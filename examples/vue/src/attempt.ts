/** Does something, watches the trail while it lasts, and says in words what it came to. */

import { AuthError } from "@keyturn/client";
import type { Auth } from "@keyturn/client";
import { shallowRef } from "vue";
import { met } from "./faults";
import { trail } from "./trail";
import { inWords } from "./words";

export interface Attempt {
  /** Whether the work was done. */
  done: boolean;
  /** Whether somebody is signed in after it. */
  signedIn: boolean;
  /** Refreshes that were answered with new tokens during it. */
  refreshes: number;
  /** All of it, as a few sentences. */
  words: string;
}

/** The latest attempt. */
export const latest = shallowRef<Attempt>();

export async function attempt(auth: Auth, work: () => Promise<string>): Promise<void> {
  const before = trail.at(-1)?.id ?? 0;
  met.length = 0;
  latest.value = undefined;
  const [done, said] = await work().then(
    (words) => [true, words] as const,
    (error: unknown) => [false, excuse(error)] as const,
  );
  const rows = trail.filter((row) => row.id > before);
  const refreshes = rows.filter(
    (row) => row.kind === "arrow" && row.refresh && row.outcome === "ok",
  ).length;
  const signedIn = auth.state.status === "signedIn";
  latest.value = { done, signedIn, refreshes, words: [said, ...facts(refreshes, signedIn)].join(" ") };
}

function excuse(error: unknown): string {
  const again = error instanceof AuthError && error.retryable ? " It may be asked again." : "";
  return `${inWords(error)}${again}`;
}

function facts(refreshes: number, signedIn: boolean): string[] {
  return [
    met.length ? `On the way: ${counted(met)}.` : "",
    refreshes === 1 ? "One refresh." : refreshes ? `${refreshes} refreshes.` : "No refresh.",
    signedIn ? "You are still signed in." : "You are signed out.",
  ].filter(Boolean);
}

/** The same words once each, with how often they came. */
function counted(words: string[]): string {
  const times = (one: string): number => words.filter((other) => other === one).length;
  return [...new Set(words)]
    .map((one) => (times(one) > 1 ? `${one}, ${times(one)} times` : one))
    .join("; ");
}
