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

function reasons(refusal) {
  if (!(refusal instanceof Error)) return refusal ? [JSON.stringify(refusal)] : []
  return [refusal.error, refusal.message, ...reasons(refusal.cause)].filter(Boolean)
}
