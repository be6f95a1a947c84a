/**
 * DPoP (RFC 9449): tokens that are worth nothing without a key which never leaves this browser.
 *
 * What it is worth: an injected script cannot carry a sign-in away. It can still use the key, and
 * sign ahead, while the page is open.
 */

import { clockOf } from "./dpop/clock.js";
import { keyNamed } from "./dpop/key.js";
import { proofBy } from "./dpop/proof.js";
import { withNonces } from "./nonces.js";
import type { Proof, ProofRequest } from "./types.js";

export interface DpopOptions {
  /** Under which the key is kept; give each client of one origin its own. Default: `keyturn`. */
  name?: string;
  /** Default: the global `indexedDB`. Without one the key is good until the page is left. */
  indexedDB?: IDBFactory;
  /** Milliseconds since 1970; default: the clock of the device. */
  now?: () => number;
}

/**
 * For the option `proof`: `createAuth({ ..., proof: dpop() })`. Nothing happens before the first
 * request. A session that began with this key is lost with it.
 */
export function dpop(options: DpopOptions = {}): Proof {
  const { name = "keyturn", now = Date.now } = options;
  const clock = clockOf(now);
  let key: Promise<CryptoKeyPair> | undefined;

  function ours(): Promise<CryptoKeyPair> {
    key ??= keyNamed(name, options.indexedDB ?? globalThis.indexedDB);
    // What could not be read for once is asked for again.
    key.catch(() => (key = undefined));
    return key;
  }

  const proof = withNonces(async (request) => {
    return proofBy(await ours(), { ...request, now: clock.seconds() });
  });

  async function again(response: Response, url: string): Promise<boolean> {
    // Both are asked: one answer may bring a nonce and show that the clock is wrong.
    const [nonce, time] = [await proof.again?.(response, url), await clock.corrected(response)];
    return nonce === true || time;
  }

  return Object.assign((request: ProofRequest) => proof(request), { again });
}
