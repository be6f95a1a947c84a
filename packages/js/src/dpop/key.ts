/**
 * The key that proofs are made with: ES256, and never extractable. IndexedDB keeps the key object,
 * not its bytes, so a script that was injected into the page can use it while it runs there, and
 * cannot carry it away.
 */

const STORE = "keys";

/** How browsers say that a page may keep nothing: blocked cookies, some private windows. */
const BLOCKED = ["SecurityError", "InvalidStateError"];

/**
 * Return the key of this name: the same in every tab and after a reload. Where none can be kept it
 * is a new one. Rejects when it could not be read for once: another key would end the session.
 */
export async function keyNamed(name: string, indexedDB?: IDBFactory): Promise<CryptoKeyPair> {
  const made = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, [
    "sign",
    "verify",
  ]);
  const database = indexedDB && (await opened(indexedDB));
  if (!database) return unkept(made);
  try {
    return await firstKept(database, name, made);
  } finally {
    database.close();
  }
}

async function opened(indexedDB: IDBFactory): Promise<IDBDatabase | undefined> {
  try {
    const opening = indexedDB.open("keyturn-dpop", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    return await result(opening);
  } catch (error) {
    if (BLOCKED.includes((error as DOMException).name)) return undefined;
    throw error;
  }
}

/** Two tabs may begin at once: whichever key was kept first is the one of both. */
async function firstKept(
  database: IDBDatabase,
  name: string,
  made: CryptoKeyPair,
): Promise<CryptoKeyPair> {
  const transaction = database.transaction(STORE, "readwrite");
  const keys = transaction.objectStore(STORE);
  const kept = (await result(keys.get(name))) as CryptoKeyPair | undefined;
  if (kept) return kept;
  try {
    keys.put(made, name);
    await completed(transaction);
    return made;
  } catch {
    // No room, or a browser that keeps no keys in private windows: there is none to be lost.
    return unkept(made);
  }
}

function unkept(key: CryptoKeyPair): CryptoKeyPair {
  console.warn("keyturn: no key can be kept here; this sign-in ends when the page is left");
  return key;
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
