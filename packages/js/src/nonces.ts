import type { Proof, ProofRequest } from "./types.js";

/**
 * Give proofs the newest `DPoP-Nonce` of their URL's origin, and have a request repeated that was
 * refused for want of one (RFC 9449 sections 8 and 9).
 */
export function withNonces(prove: (request: ProofRequest) => Promise<string>): Proof {
  const nonces = new Map<string, string>();

  async function again(response: Response, url: string): Promise<boolean> {
    const { origin } = new URL(url);
    const newest = response.headers.get("DPoP-Nonce");
    if (!newest || newest === nonces.get(origin)) return false;
    nonces.set(origin, newest);
    return wantsNonce(response);
  }

  const proof = (request: ProofRequest) => prove({ nonce: nonces.get(new URL(request.url).origin), ...request });
  return Object.assign(proof, { again });
}

async function wantsNonce(response: Response): Promise<boolean> {
  if (response.status !== 400 && response.status !== 401) return false;
  const challenge = response.headers.get("WWW-Authenticate") ?? (await response.clone().text());
  return challenge.includes("use_dpop_nonce");
}
