/** A proof of possession (RFC 9449 section 4): a JWT for one request, by the key of the session. */

export interface Claims {
  method: string;
  /** Where the request goes; its query and fragment do not count. */
  url: string;
  /** Seconds since 1970. */
  now: number;
  accessToken?: string | undefined;
  nonce?: string | undefined;
}

/** Sign a proof. Each is good once: a retry needs another one. */
export async function proofBy(key: CryptoKeyPair, claims: Claims): Promise<string> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", key.publicKey);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const { origin, pathname } = new URL(claims.url);
  const body = {
    jti: crypto.randomUUID(),
    htm: claims.method,
    htu: origin + pathname,
    iat: Math.floor(claims.now),
    // Both are left out where they are undefined.
    ath: claims.accessToken && base64url(await sha256(claims.accessToken)),
    nonce: claims.nonce,
  };
  const signed = `${encoded(header)}.${encoded(body)}`;
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, bytes(signed));
  return `${signed}.${base64url(signature)}`;
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function sha256(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", bytes(text));
}

function encoded(value: object): string {
  return base64url(bytes(JSON.stringify(value)));
}

function base64url(data: ArrayBuffer | Uint8Array): string {
  const binary = String.fromCharCode(...new Uint8Array(data));
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
