// oauth4webapi, the low level, by the steps of its own examples: every answer is validated.

import * as oauth from 'oauth4webapi'

import { browserBackFrom, errorOf, run, settings, tell } from './person.mjs'

await run(async () => {
  const issuer = new URL(settings.issuer)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer))
  const client = { client_id: settings.client, token_endpoint_auth_method: settings.method }
  const authentication = settings.secret ? oauth.ClientSecretBasic(settings.secret) : oauth.None()

  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const to = new URL(as.authorization_endpoint)
  const asked = {
    client_id: client.client_id,
    redirect_uri: settings.callback,
    response_type: 'code',
    scope: settings.scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    max_age: String(settings.maxAge),
  }
  for (const [name, value] of Object.entries(asked)) to.searchParams.set(name, value)

  const back = await browserBackFrom(to)
  const parameters = oauth.validateAuthResponse(as, client, back, settings.expectedState ?? state)
  const answer = await oauth.authorizationCodeGrantRequest(
    as,
    client,
    authentication,
    parameters,
    settings.callback,
    verifier,
  )
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, answer, {
    expectedNonce: settings.expectedNonce ?? nonce,
    maxAge: settings.maxAge,
    requireIdToken: true,
  })
  await oauth.validateApplicationLevelSignature(as, answer)
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  tell({ claims })

  const told = {}
  const asking = await oauth.userInfoRequest(as, client, tokens.access_token)
  told.userinfo = await oauth.processUserInfoResponse(as, client, claims.sub, asking)

  const atAnApi = new Request('https://api.example.com/orders', {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  })
  told.accessToken = await oauth.validateJwtAccessToken(as, atAnApi, settings.audience)

  const refreshing = await oauth.refreshTokenGrantRequest(
    as,
    client,
    authentication,
    tokens.refresh_token,
  )
  const refreshed = await oauth.processRefreshTokenResponse(as, client, refreshing)
  told.rotated = refreshed.refresh_token !== tokens.refresh_token
  told.refreshed = oauth.getValidatedIdTokenClaims(refreshed) ?? null

  const introspect = async () =>
    oauth.processIntrospectionResponse(
      as,
      client,
      await oauth.introspectionRequest(as, client, authentication, refreshed.access_token),
    )
  if (settings.secret) told.introspected = await introspect()
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, authentication, refreshed.refresh_token),
  )
  if (settings.secret) told.introspectedAfter = await introspect()
  told.refreshAfterRevocation = await errorOf(
    oauth
      .refreshTokenGrantRequest(as, client, authentication, refreshed.refresh_token)
      .then((late) => oauth.processRefreshTokenResponse(as, client, late)),
  )
  return told
})
