// This screen's own key: drawn here, kept by the browser, never readable, not even by this page.

const DATABASE = 'cotside-station'
const STORE = 'identity'
const KEY = { name: 'ECDSA', namedCurve: 'P-256' }

export interface Identity {
  // The hub's name for this station; null: asked for, not yet given.
  id: string | null
  keys: CryptoKeyPair
}

export const canBeStation = (): boolean => globalThis.crypto?.subtle !== undefined && globalThis.indexedDB !== undefined

export async function draw(): Promise<Identity> {
  return { id: null, keys: await crypto.subtle.generateKey(KEY, false, ['sign', 'verify']) }
}

export const load = (): Promise<Identity | undefined> => inStore('readonly', (store) => store.get('self') as IDBRequest<Identity | undefined>)
export const keep = (identity: Identity): Promise<unknown> => inStore('readwrite', (store) => store.put(identity, 'self'))
export const forget = (): Promise<unknown> => inStore('readwrite', (store) => store.delete('self'))

// The uncompressed point, 65 bytes.
export async function publicKey(identity: Identity): Promise<string> {
  return base64(await crypto.subtle.exportKey('raw', identity.keys.publicKey))
}

// r and s, 32 bytes each, over SHA-256.
export async function sign(identity: Identity, words: string): Promise<string> {
  return base64(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, identity.keys.privateKey, new TextEncoder().encode(words)))
}

function base64(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)))
}

function inStore<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE)
    opening.onerror = () => reject(opening.error ?? new Error('the browser keeps nothing'))
    opening.onsuccess = () => {
      const database = opening.result
      const done = work(database.transaction(STORE, mode).objectStore(STORE))
      done.onsuccess = () => {
        database.close()
        resolve(done.result)
      }
      done.onerror = () => {
        database.close()
        reject(done.error ?? new Error('the browser keeps nothing'))
      }
    }
  })
}
