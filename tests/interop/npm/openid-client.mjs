// openid-client v6, as its README shows it: discovery, code with PKCE, and everything after.

import * as client from 'openid-client'

import { browserBackFrom, errorOf, run, settings, tell } from './person.mjs'

const methods = {
  none: () => client.None(),
  client_secret_basic: () => client.ClientSecretBasic(settings.secret),
  client_secret_post: () => client.ClientSecretPost(settings.secret),
}

await run(async () => {
  const config = await client.discovery(
    new URL(settings.issuer),
    settings.client,
    undefined,
    methods[settings.method](),
  )
  client.enableNonRepudiationChecks(config) // signatures of ID tokens, against the JWKS

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
  const back = await browserBackFrom(client.buildAuthorizationUrl(config, parameters))
  const tokens = await client.authorizationCodeGrant(config, back, {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: settings.expectedNonce ?? nonce,
    idTokenExpected: true,
  })
  const claims = tokens.claims()
  tell({ claims, scope: tokens.scope, expiresIn: tokens.expiresIn() })

  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
  const told = { userinfo, refreshed: refreshed.claims() ?? null }
  told.rotated = refreshed.refresh_token !== tokens.refresh_token
  if (settings.method !== 'none') {
    told.introspected = await client.tokenIntrospection(config, refreshed.access_token)
  }
  await client.tokenRevocation(config, refreshed.refresh_token)
  told.refreshAfterRevocation = await errorOf(
    client.refreshTokenGrant(config, refreshed.refresh_token),
  )
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
})
