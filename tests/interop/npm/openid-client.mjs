// openid-client v6, as its README shows it: discovery, code with PKCE, and everything after; and
// the same of devices and machines. What is pushed, signed or bound to a key, the settings say.

import * as client from 'openid-client'

import {
  algorithmOf, browserBackFrom, errorOf, run, settings, signingKey, tell, tellPolls, watch,
} from './person.mjs'

const secret = settings.secret ?? undefined // without one, that of the registration
const methods = {
  none: () => client.None(),
  client_secret_basic: () => client.ClientSecretBasic(secret),
  client_secret_post: () => client.ClientSecretPost(secret),
  private_key_jwt: async () => client.PrivateKeyJwt(await signingKey()),
}

async function configured() {
  const server = new URL(settings.issuer)
  const authentication = await methods[settings.method]()
  const { registered, initialAccessToken, metadata } = settings
  const config = registered
    ? await client.dynamicClientRegistration(server, registered, authentication, { initialAccessToken })
    : await client.discovery(server, settings.client, metadata, authentication)
  client.enableNonRepudiationChecks(config) // signatures of ID tokens, against the JWKS
  const bound = settings.dpop && {
    DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair()),
  }
  return { config, bound }
}

/** Returns where to send the browser. */
async function authorization(config, parameters, bound) {
  if (settings.signed) {
    const key = await signingKey()
    parameters = (await client.buildAuthorizationUrlWithJAR(config, parameters, key)).searchParams
  }
  if (settings.par) return client.buildAuthorizationUrlWithPAR(config, parameters, bound)
  if (bound) parameters.dpop_jkt = await bound.DPoP.calculateThumbprint()
  return client.buildAuthorizationUrl(config, parameters)
}

async function signIn() {
  const answers = []
  watch((one) => answers.push(one))
  const { config, bound } = await configured()

  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const parameters = {
    redirect_uri: settings.callback,
    scope: settings.scope,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  }
  if (settings.responseMode) parameters.response_mode = settings.responseMode
  const back = await browserBackFrom(await authorization(config, parameters, bound))
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: settings.expectedNonce ?? nonce,
    idTokenExpected: true,
  }
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, bound)
  const claims = tokens.claims()
  tell({ claims, scope: tokens.scope, expiresIn: tokens.expiresIn() })

  const told = { answers, tokenType: tokens.token_type }
  told.algorithms = [tokens.id_token, tokens.access_token].map(algorithmOf)
  told.userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, bound)
  const refresh = (token) => client.refreshTokenGrant(config, token, undefined, bound)
  const refreshed = await refresh(tokens.refresh_token)
  told.refreshed = refreshed.claims() ?? null
  told.rotated = refreshed.refresh_token !== tokens.refresh_token
  if (settings.method !== 'none') {
    told.introspected = await client.tokenIntrospection(config, refreshed.access_token)
  }
  await client.tokenRevocation(config, refreshed.refresh_token)
  told.refreshAfterRevocation = await errorOf(refresh(refreshed.refresh_token))
  if (settings.method !== 'none') {
    told.introspectedAfter = await client.tokenIntrospection(config, refreshed.access_token)
  }
  const leaving = client.buildEndSessionUrl(config, {
    post_logout_redirect_uri: settings.goodbye,
    id_token_hint: tokens.id_token,
    state: 'bye',
  })
  told.goodbye = (await browserBackFrom(leaving)).href
  return told
}

async function connectDevice() {
  const { config, bound } = await configured()
  const device = await client.initiateDeviceAuthorization(config, { scope: settings.scope })
  tellPolls()
  tell({ device })
  const tokens = await client.pollDeviceAuthorizationGrant(config, device, undefined, bound)
  const claims = tokens.claims()
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub, bound)
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, bound)
  const rotated = refreshed.refresh_token !== tokens.refresh_token
  return { claims, userinfo, rotated, tokenType: tokens.token_type }
}

async function runMachine() {
  const { config, bound } = await configured()
  const { scope, exchange } = settings
  const own = await client.clientCredentialsGrant(config, { scope }, bound)
  const { grant_type: grant, ...parameters } = exchange
  const exchanged = await client.genericGrantRequest(config, grant, parameters, bound)
  return {
    own: await client.tokenIntrospection(config, own.access_token),
    exchanged: await client.tokenIntrospection(config, exchanged.access_token),
    issued: exchanged.issued_token_type,
    thumbprint: await bound.DPoP.calculateThumbprint(),
  }
}

await run({ signIn, connectDevice, runMachine }[settings.command ?? 'signIn'])
