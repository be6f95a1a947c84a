// What every driver shares: its settings, and the person in front of the browser, who is the test.

import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Issuer, credentials and what else the test says. */
export const settings = JSON.parse(process.argv[2])

/** Prints one line of JSON: something happened. */
export function tell(happened) {
  process.stdout.write(JSON.stringify(happened) + '\n')
}

/** Sends the person's browser away and returns the request it comes back with. */
export async function browserBackFrom(to) {
  tell({ to: to.href })
  const { value, done } = await lines.next()
  if (done) throw new Error('the browser never came back')
  const { url, form } = JSON.parse(value)
  return form ? new Request(url, { method: 'POST', body: new URLSearchParams(form) }) : new URL(url)
}

/** Runs the driver, and tells what the library refused and why. */
export async function run(driver) {
  try {
    tell(await driver())
  } catch (refusal) {
    tell({ refused: reasons(refusal).join('; ') })
  }
}

/** Returns the OAuth error code of a request that must fail. */
export async function errorOf(promise) {
  try {
    await promise
  } catch (refusal) {
    return refusal.error ?? reasons(refusal).join('; ')
  }
  return 'none'
}

/**
 * Calls `seen` with every answer that Node's own `fetch` brings to the library from now on: path,
 * status, the header it was asked with, and the OAuth error. Nothing is changed on the way.
 */
export function watch(seen) {
  const { fetch } = globalThis
  globalThis.fetch = async (url, options) => {
    const answer = await fetch(url, options)
    const { authorization = '' } = Object.fromEntries(new Headers(options?.headers))
    const said = await answer.clone().json().catch(() => ({}))
    seen({
      path: new URL(url).pathname,
      status: answer.status,
      scheme: authorization.split(' ')[0],
      error: said.error ?? null,
    })
    return answer
  }
}

/** Tells each answer of the token endpoint at once, with the seconds since the one before. */
export function tellPolls() {
  let before = performance.now()
  watch(({ path, error }) => {
    if (path !== '/oauth2/token') return
    const now = performance.now()
    tell({ polled: error, waited: (now - before) / 1000 })
    before = now
  })
}

/** Returns the key by which the application proves itself, and signs, as Web Crypto has it. */
export async function signingKey() {
  const { jwk, alg } = settings.key
  const kinds = {
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
    PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  }
  const key = await crypto.subtle.importKey('jwk', jwk, kinds[alg], false, ['sign'])
  return { key, kid: jwk.kid }
}

/** Returns what the header of a JWT says it is signed with. */
export function algorithmOf(token) {
  return JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).alg
}

function reasons(refusal) {
  if (!(refusal instanceof Error)) return refusal ? [JSON.stringify(refusal)] : []
  return [refusal.error, refusal.message, ...reasons(refusal.cause)].filter(Boolean)
}
