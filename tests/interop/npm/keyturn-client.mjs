// `@keyturn/client` as a page of an application has it, by the rules of CORS, against a server.

import { fetchOfPage } from './page_fetch.mjs'
import { run, settings, tell } from './person.mjs'
import { createInterface } from 'node:readline'

const { createAuth } = await import(`${settings.dist}/index.js`)
const { account } = await import(`${settings.dist}/account.js`)
const { dpop } = await import(`${settings.dist}/dpop.js`)

const asked = []
const fetch = fetchOfPage(settings.origin, (one) => asked.push(`${one.method} ${one.path} ${one.status}`))
const common = {
  issuer: settings.issuer,
  clientId: settings.client,
  apis: [settings.issuer],
  scope: settings.scope,
  fetch,
  // An hour ahead: proofs have to follow the server's clock.
  ...(settings.bound && { proof: dpop({ now: () => Date.now() + 3_600_000 }) }),
}
const codeOf = (promise) => promise.then(() => 'none', (error) => error.code)

async function byBody() {
  const auth = createAuth({ ...common, mode: 'body' })
  const wrong = await codeOf(auth.login({ email: settings.email, password: 'wrong' }))
  const user = await auth.login({ email: settings.email, password: settings.password })
  const before = await auth.token()
  await auth.refresh()
  const rotated = before !== (await auth.token())
  const mine = account(auth)
  const me = await mine.user()
  const sessions = await mine.sessions()
  await mine.reauthenticate(settings.password)
  const ended = codeOf(mine.endSession('not-a-session'))
  const gone = await ended
  await mine.logoutEverywhere({ exceptCurrent: true })
  const kept = { ...auth.state }
  await mine.logoutEverywhere()
  return { wrong, user, me, rotated, sessions, gone, kept: kept.status, after: auth.state.status, asked }
}

async function byCode() {
  const page = pageAt(settings.origin)
  const auth = createAuth({ ...common, mode: 'code', redirectUri: settings.callback })
  void auth.signIn({ returnTo: '/orders' })
  tell({ to: await page.left })
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const { url } = JSON.parse((await lines.next()).value)
  const { returnTo } = await auth.handleCallback(url)
  const before = await auth.token()
  await auth.refresh()
  const rotated = before !== (await auth.token())
  const userinfo = await (await auth.fetch(`${settings.issuer}/oauth2/userinfo`)).json()
  await auth.logout()
  return { returnTo, rotated, sub: userinfo.sub, after: auth.state.status, asked }
}

/** The little of a window that redirects need. */
function pageAt(origin) {
  const kept = new Map()
  globalThis.sessionStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  }
  const left = new Promise((resolve) => {
    globalThis.location = { href: `${origin}/`, origin, pathname: '/', assign: resolve }
  })
  return { left }
}

await run(settings.mode === 'code' ? byCode : byBody)
process.exit(0)
