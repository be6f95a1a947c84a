/**
 * Time for proofs: servers take them a minute off at most (RFC 9449 section 11.1), and devices have
 * clocks that are hours off. The local clock is believed until a server refuses a proof.
 */

/** Milliseconds: `Date` is cut to seconds and travels, so less is no reason to try again. */
const DIFFERENCE = 5000;

export interface Clock {
  /** Seconds since 1970, as far as servers told. */
  seconds(): number;
  /** Whether a refusal was one of a wrong clock, which is put right by it. */
  corrected(response: Response): Promise<boolean>;
}

export function clockOf(now: () => number): Clock {
  let ahead = 0;
  return {
    seconds: () => (now() + ahead) / 1000,
    async corrected(response) {
      const told = Date.parse(response.headers.get("Date") ?? "") - now();
      // Without a readable `Date` this is NaN, and never more.
      if (!(Math.abs(told - ahead) > DIFFERENCE) || !(await isRefusedProof(response))) return false;
      ahead = told;
      return true;
    },
  };
}

async function isRefusedProof(response: Response): Promise<boolean> {
  if (response.status !== 400 && response.status !== 401) return false;
  const challenge = response.headers.get("WWW-Authenticate") ?? "";
  return `${challenge} ${await response.clone().text()}`.includes("invalid_dpop_proof");
}
