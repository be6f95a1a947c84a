/** Where everything is: `keyturn dev` says it in `/config.json`. */

import type { InjectionKey } from "vue";

export interface Config {
  /** The authorization server, exactly as in its metadata. */
  issuer: string;
  /** The example API's origin. */
  api: string;
  clientId: string;
  /** Who can sign in: constants of `keyturn dev`, on loopback only. */
  people: { email: string; password: string }[];
}

/** Where components find it. */
export const CONFIG: InjectionKey<Config> = Symbol("config");

export async function loadConfig(): Promise<Config> {
  const answer = await fetch("/config.json");
  if (!answer.ok) throw new Error(`/config.json answered ${answer.status}`);
  return (await answer.json()) as Config;
}
