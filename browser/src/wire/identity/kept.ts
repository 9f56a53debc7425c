// Keys of a page in IndexedDB: the browser keeps them for the origin, and lets nobody take them out.
//
// What is kept is the key itself, which WebCrypto can store though it exports it to nobody. All tabs of
// an origin see the same: whoever comes first makes a key, the others find it.

import { ConfigError } from "../../errors";
import { within as inTime } from "../timing";

const DATABASE = "actr";
const STORE = "identities";
/** For one piece of work: a browser may leave a request unanswered for ever. */
const MOST_SECONDS = 5;

/** What is kept of one identity. */
export interface Kept {
  readonly key: CryptoKey;
  /** The public key, 32 bytes. */
  readonly raw: Uint8Array;
  /** The newest certificate of it; empty: there is none. */
  readonly certificate: string;
  /** The issuer's public keys as they were last told, by their names. */
  readonly issuerKeys: ReadonlyMap<string, Uint8Array>;
}

/** What is kept by this name; undefined: nothing is. Each of these rejects with `ConfigError` where nothing can be kept. */
export function find(name: string): Promise<Kept | undefined> {
  return within("readonly", (store) => store.get(name));
}

/** Keeps this, if nothing is kept by that name yet; what is kept then. Of two tabs at once one is first. */
export function findOrKeep(name: string, made: Kept): Promise<Kept> {
  return within("readwrite", async (store) => {
    const found = await settled<Kept | undefined>(store.get(name));
    if (found !== undefined) {
      return found;
    }
    await settled(store.put(made, name));
    return made;
  });
}

/** As `findOrKeep`, where what is kept by that name has another key than `raw`; else `made` takes its place. */
export function findOrReplace(name: string, raw: Uint8Array, made: Kept): Promise<Kept> {
  return within("readwrite", async (store) => {
    const found = await settled<Kept | undefined>(store.get(name));
    if (found !== undefined && found.raw.join() !== raw.join()) {
      return found;
    }
    await settled(store.put(made, name));
    return made;
  });
}

/** Changes what is kept by this name, if it is still that key's. */
export function change(name: string, raw: Uint8Array, what: Partial<Pick<Kept, "certificate" | "issuerKeys">>): Promise<void> {
  return within("readwrite", async (store) => {
    const found = await settled<Kept | undefined>(store.get(name));
    if (found !== undefined && found.raw.join() === raw.join()) {
      await settled(store.put({ ...found, ...what }, name));
    }
  });
}

/** Deletes the key of this name, and its certificate, for good; harmless where there is none. */
export function forget(name: string): Promise<void> {
  return within("readwrite", (store) => store.delete(name));
}

type Work<T> = (store: IDBObjectStore) => Promise<T> | IDBRequest;

/** The work has been done, and is on the disk. It awaits nothing but requests of this store. */
async function within<T>(mode: IDBTransactionMode, work: Work<T>): Promise<T> {
  try {
    return await inTime(MOST_SECONDS, done(mode, work), () => new Error(`no answer within ${MOST_SECONDS} s`));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(
      `no key can be kept in IndexedDB here (${why}): let this site keep data, as a private window may not; ` +
        "or give a key that is made for this load of the page alone, `key: await OwnIdentity.make()`",
      { cause },
    );
  }
}

async function done<T>(mode: IDBTransactionMode, work: Work<T>): Promise<T> {
  const database = await open();
  try {
    const transaction = database.transaction(STORE, mode, { durability: "strict" });
    const isDone = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    const asked = work(transaction.objectStore(STORE));
    const [result] = await Promise.all([asked instanceof IDBRequest ? settled<T>(asked) : asked, isDone]);
    return result;
  } finally {
    database.close();
  }
}

function open(): Promise<IDBDatabase> {
  const asked = globalThis.indexedDB.open(DATABASE, 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
  return settled(asked);
}

function settled<T>(asked: IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result as T);
    asked.onerror = () => reject(asked.error);
  });
}
