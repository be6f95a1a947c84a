// A single-page application that signs people in with oidc-client-ts, as its documentation shows.
// The test presses its buttons, reads `happened`, and calls `renew` as the application would.

/* global oidc, settings */

const here = location.origin
const manager = new oidc.UserManager({
  redirect_uri: `${here}/callback`,
  silent_redirect_uri: `${here}/silent`,
  post_logout_redirect_uri: `${here}/goodbye`,
  userStore: new oidc.WebStorageStateStore({ store: window[settings.store] }),
  ...settings.manager,
})

const happened = []
manager.events.addUserLoaded(() => happened.push('loaded'))
manager.events.addUserUnloaded(() => happened.push('unloaded'))
manager.events.addSilentRenewError((refusal) => happened.push(`renewal failed: ${refusal.message}`))

document.getElementById('sign-in').onclick = () => manager.signinRedirect()
document.getElementById('sign-out').onclick = () => manager.signoutRedirect({ state: 'bye' })

const arrivals = {
  '/callback': () => manager.signinRedirectCallback(),
  '/silent': () => manager.signinSilentCallback(),
  '/goodbye': () => manager.signoutRedirectCallback(),
}

/** What the browser brought along when it came here. */
const arrived = arrive()

async function arrive() {
  const arrival = arrivals[location.pathname]
  if (!arrival) return shown(await manager.getUser())
  const answer = await arrival()
  if (location.pathname !== '/silent') history.replaceState(null, '', '/')
  return location.pathname === '/silent' ? null : shown(answer)
}

/** Renews in silence; returns who is signed in then, or why it failed. */
async function renew(options) {
  try {
    return shown(await manager.signinSilent(options))
  } catch (refusal) {
    return { refused: refusal.error ?? refusal.message }
  }
}

function shown(user) {
  if (!user?.profile) return { state: user?.userState ?? null, signedIn: false }
  const { sub, email } = user.profile
  return { sub, email: email ?? null, refreshToken: user.refresh_token ?? null, signedIn: true }
}
