// An API and an issuer of one process that count; the "before" and the "after" of docs/migrating.md against them.

import { createServer } from 'node:http'
import { createAuth } from '@keyturn/client'
import { Session } from './before.mjs'

const told = { refreshes: 0, broken: false, taken: new Set() }
const server = createServer(async (request, response) => {
  for await (const _ of request); // read whatever was sent
  const give = (status, body) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  if (request.url === '/orders') return give(told.taken.has(request.headers.authorization) ? 200 : 401, {})
  if (told.broken) return give(500, {})
  if (request.url === '/auth/refresh') told.refreshes += 1
  const accessToken = `good-${told.refreshes}`
  told.taken.add(`Bearer ${accessToken}`)
  give(200, { accessToken, refreshToken: 'r', tokenType: 'Bearer', expiresIn: 600, sessionId: 's', user: { id: 'u', email: 'e' } })
})
await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
const origin = `http://127.0.0.1:${server.address().port}`
const unexpired = (claims) => `h.${btoa(JSON.stringify({ exp: 9e9, ...claims }))}.s`
const send = (url, options) => fetch(new URL(url, origin), options)
const ten = (one) => Promise.allSettled(Array.from({ length: 10 }, one))
const body = () => new Blob(['{}']).stream()

async function before() {
  let out = 0
  const session = new Session({ access: unexpired(), refresh: 'r' }, send, () => (out += 1))
  Object.assign(told, { refreshes: 0, broken: false, taken: new Set() })
  session.isExpired = () => false // its own tokens of this server are opaque
  await ten(() => session.request('/orders'))
  const refreshes = told.refreshes
  told.taken.clear()
  const [consumed] = await Promise.allSettled([session.request('/orders', { method: 'POST', body: body(), duplex: 'half' })])
  told.taken.clear()
  Object.assign(told, { broken: true })
  await Promise.allSettled([session.request('/orders')])
  const name = Buffer.from(JSON.stringify({ exp: 9e9, name: '???>>>' })).toString('base64url')
  const misread = Session.prototype.isExpired.call(session, `h.${name}.s`)
  return { refreshes, consumed: consumed.reason?.name ?? 'sent', signedOut: out, misread }
}

async function after() {
  let out = 0
  Object.assign(told, { refreshes: 0, broken: false, taken: new Set() })
  const auth = createAuth({ issuer: origin, clientId: 'app', mode: 'body', apis: [origin] })
  auth.on('signedOut', () => (out += 1))
  await auth.login({ email: 'e', password: 'p' })
  told.taken.clear()
  const answers = await ten(() => auth.fetch(`${origin}/orders`))
  const refreshes = told.refreshes
  told.taken.clear()
  const sent = await auth.fetch(`${origin}/orders`, { method: 'POST', body: '{}' })
  told.taken.clear()
  told.broken = true
  const [down] = await Promise.allSettled([auth.fetch(`${origin}/orders`)])
  auth.dispose()
  return {
    refreshes,
    served: answers.filter((one) => one.value?.status === 200).length,
    posted: sent.status,
    signedOut: out,
    status: auth.state.status,
    retryable: down.reason?.retryable,
  }
}

console.log(JSON.stringify({ before: await before(), after: await after() }))
server.closeAllConnections()
server.close()
