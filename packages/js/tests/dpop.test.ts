/// <reference types="node" />
import { IDBFactory } from "fake-indexeddb";
import { afterEach, describe, expect, it, vi } from "vitest";

import { dpop } from "../src/dpop.js";

const ORDERS = { method: "POST", url: "https://api.example.com/orders?page=2#top" };
const NOW = 1_700_000_000_500;

afterEach(() => vi.restoreAllMocks());

function decoded(part: string | undefined): Record<string, unknown> {
  return JSON.parse(Buffer.from(part ?? "", "base64url").toString());
}

async function read(proof: string) {
  const [header, claims, signature] = proof.split(".");
  const { jwk, ...rest } = decoded(header);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", jwk as JsonWebKey, algorithm, true, ["verify"]);
  const verified = await crypto.subtle.verify(
    algorithm,
    key,
    Buffer.from(signature ?? "", "base64url"),
    Buffer.from(`${header}.${claims}`),
  );
  return { jwk: jwk as JsonWebKey, header: rest, claims: decoded(claims), verified };
}

async function jwkOf(proof: Promise<string>): Promise<JsonWebKey> {
  return (await read(await proof)).jwk;
}

describe("a proof", () => {
  const prove = dpop({ indexedDB: new IDBFactory(), now: () => NOW });

  it("is signed by the public key in its header, which has no private part", async () => {
    const { header, jwk, verified } = await read(await prove(ORDERS));
    expect(verified).toBe(true);
    expect(header).toEqual({ typ: "dpop+jwt", alg: "ES256" });
    expect(Object.keys(jwk).sort()).toEqual(["crv", "kty", "x", "y"]);
  });

  it("is about one method and one address, without query and fragment", async () => {
    const { claims } = await read(await prove(ORDERS));
    expect(claims).toEqual({
      jti: expect.any(String),
      htm: "POST",
      htu: "https://api.example.com/orders",
      iat: 1_700_000_000,
    });
  });

  it("hashes the access token, as in RFC 9449 section 7.1", async () => {
    const accessToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const { claims } = await read(await prove({ ...ORDERS, accessToken, nonce: "n-1" }));
    expect(claims["ath"]).toBe("fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    expect(claims["nonce"]).toBe("n-1");
  });

  it("is another one each time, by the same key", async () => {
    const [one, two] = await Promise.all([read(await prove(ORDERS)), read(await prove(ORDERS))]);
    expect(one.claims["jti"]).not.toBe(two.claims["jti"]);
    expect(one.jwk).toEqual(two.jwk);
  });
});

describe("a refused proof", () => {
  const HOUR = 3_600_000;
  const refused = (error: string, headers: Record<string, string>) =>
    Response.json({ error }, { status: 400, headers });

  it("is made again with the nonce that the refusal brought, for that origin only", async () => {
    const prove = dpop({ indexedDB: new IDBFactory() });
    const wants = refused("use_dpop_nonce", { "DPoP-Nonce": "n-1" });
    expect(await prove.again?.(wants.clone(), ORDERS.url)).toBe(true);
    expect((await read(await prove(ORDERS))).claims["nonce"]).toBe("n-1");
    const other = { method: "GET", url: "https://other.example.com/" };
    expect((await read(await prove(other))).claims).not.toHaveProperty("nonce");
    expect(await prove.again?.(wants.clone(), ORDERS.url)).toBe(false);
  });

  it.each([HOUR, -HOUR])("is made again by the server's clock when ours is %i ms off", async (off) => {
    const prove = dpop({ indexedDB: new IDBFactory(), now: () => NOW + off });
    const told = { Date: new Date(NOW).toUTCString(), "DPoP-Nonce": "n-1" };
    expect(await prove.again?.(refused("invalid_dpop_proof", told), ORDERS.url)).toBe(true);
    const { claims } = await read(await prove(ORDERS));
    expect(claims).toMatchObject({ iat: 1_700_000_000, nonce: "n-1" });
    expect(await prove.again?.(refused("invalid_dpop_proof", told), ORDERS.url)).toBe(false);
  });

  it("is not made again when the clock is right, or nobody says what time it is", async () => {
    const prove = dpop({ indexedDB: new IDBFactory(), now: () => NOW });
    const told = { Date: new Date(NOW).toUTCString() };
    expect(await prove.again?.(refused("invalid_dpop_proof", told), ORDERS.url)).toBe(false);
    expect(await prove.again?.(refused("invalid_dpop_proof", {}), ORDERS.url)).toBe(false);
  });

  it("does not move the clock by an answer that is about something else", async () => {
    const prove = dpop({ indexedDB: new IDBFactory(), now: () => NOW });
    const told = { Date: new Date(NOW + HOUR).toUTCString() };
    expect(await prove.again?.(refused("invalid_grant", told), ORDERS.url)).toBe(false);
    expect((await read(await prove(ORDERS))).claims["iat"]).toBe(1_700_000_000);
  });
});

describe("the key", () => {
  it("outlives a reload, and cannot be exported", async () => {
    const indexedDB = new IDBFactory();
    const before = await jwkOf(dpop({ indexedDB })(ORDERS));
    const after = await jwkOf(dpop({ indexedDB })(ORDERS));
    expect(after).toEqual(before);
    const { privateKey } = await stored(indexedDB, "keyturn");
    expect(privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("jwk", privateKey)).rejects.toThrow();
  });

  it("is the same in two tabs that begin at once", async () => {
    const indexedDB = new IDBFactory();
    const tabs = [dpop({ indexedDB }), dpop({ indexedDB })];
    const [one, two] = await Promise.all(tabs.map((tab) => jwkOf(tab(ORDERS))));
    expect(one).toEqual(two);
  });

  it("is another one under another name", async () => {
    const indexedDB = new IDBFactory();
    const one = await jwkOf(dpop({ indexedDB, name: "one" })(ORDERS));
    expect(await jwkOf(dpop({ indexedDB, name: "two" })(ORDERS))).not.toEqual(one);
  });

  it.each(["SecurityError", "InvalidStateError"])(
    "lives in memory where IndexedDB is blocked (%s), and says so",
    async (name) => {
      const warn = vi.spyOn(console, "warn").mockReturnValue();
      const indexedDB = new IDBFactory();
      vi.spyOn(indexedDB, "open").mockImplementation(() => {
        throw new DOMException("blocked", name);
      });
      const prove = dpop({ indexedDB });
      expect(await jwkOf(prove(ORDERS))).toEqual(await jwkOf(prove(ORDERS)));
      expect(warn).toHaveBeenCalledOnce();
    },
  );

  it("lives in memory where there is no IndexedDB at all", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    const prove = dpop();
    expect(await jwkOf(prove(ORDERS))).toEqual(await jwkOf(prove(ORDERS)));
  });

  it("is not replaced because it could not be read for once", async () => {
    const indexedDB = new IDBFactory();
    const kept = await jwkOf(dpop({ indexedDB })(ORDERS));
    const prove = dpop({ indexedDB });
    vi.spyOn(indexedDB, "open").mockImplementationOnce(() => {
      throw new DOMException("lost", "UnknownError");
    });
    await expect(prove(ORDERS)).rejects.toThrow("lost");
    expect(await jwkOf(prove(ORDERS))).toEqual(kept);
  });
});

function stored(indexedDB: IDBFactory, name: string): Promise<CryptoKeyPair> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("keyturn-dpop", 1);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const got = opening.result.transaction("keys").objectStore("keys").get(name);
      got.onerror = () => reject(got.error);
      got.onsuccess = () => resolve(got.result as CryptoKeyPair);
    };
  });
}
