// oauth4webapi, the low level, by the steps of its own examples: every answer is validated. What is
// pushed, signed or bound to a key, the settings say.

import * as oauth from 'oauth4webapi'

import {
  algorithmOf, browserBackFrom, errorOf, run, settings, signingKey, tell, tellPolls, watch,
} from './person.mjs'

const methods = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(settings.secret),
  private_key_jwt: async () => oauth.PrivateKeyJwt(await signingKey()),
}

const issuer = new URL(settings.issuer)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer))

/** Returns the application: its description, how it proves itself, and the key of its tokens. */
async function application() {
  const { registered, initialAccessToken, metadata } = settings
  let client = { client_id: settings.client, ...metadata }
  if (registered) {
    const asking = oauth.dynamicClientRegistrationRequest(as, registered, { initialAccessToken })
    client = await oauth.processDynamicClientRegistrationResponse(await asking)
    settings.secret = client.client_secret
  }
  const bound = settings.dpop && { DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')) }
  return [client, await methods[settings.method](), bound]
}

/** Asks, and once more where the server wants its nonce in the proof. */
async function answered(ask, process) {
  try {
    return await process(await ask())
  } catch (refusal) {
    if (!oauth.isDPoPNonceError(refusal)) throw refusal
    return process(await ask())
  }
}

/** Returns where to send the browser. */
async function authorization(client, authentication, parameters, bound) {
  const to = new URL(as.authorization_endpoint)
  let asked = { client_id: client.client_id, ...parameters }
  if (settings.signed) {
    const key = await signingKey()
    const request = await oauth.issueRequestObject(as, client, parameters, key)
    asked = { client_id: client.client_id, request }
  }
  if (settings.par) {
    const pushed = await answered(
      () => oauth.pushedAuthorizationRequest(as, client, authentication, asked, bound),
      (answer) => oauth.processPushedAuthorizationResponse(as, client, answer),
    )
    asked = { client_id: client.client_id, request_uri: pushed.request_uri }
  } else if (bound) {
    asked.dpop_jkt = await bound.DPoP.calculateThumbprint()
  }
  for (const [name, value] of Object.entries(asked)) to.searchParams.set(name, value)
  return to
}

/** Shows an access token to an API, which reads it, and its proof, with this library, too. */
async function readAtAnApi(token, bound) {
  let claims
  const fetch = async (url, request) => {
    claims = await oauth.validateJwtAccessToken(as, new Request(url, request), settings.audience)
    return new Response()
  }
  const url = new URL('https://api.example.com/orders')
  const options = { ...bound, [oauth.customFetch]: fetch }
  await oauth.protectedResourceRequest(token, 'GET', url, undefined, undefined, options)
  return claims
}

function userinfoOf(client, tokens, bound) {
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)
  return answered(
    () => oauth.userInfoRequest(as, client, tokens.access_token, bound),
    (answer) => oauth.processUserInfoResponse(as, client, sub, answer),
  )
}

function refreshed(client, authentication, token, bound) {
  return answered(
    () => oauth.refreshTokenGrantRequest(as, client, authentication, token, bound),
    (answer) => oauth.processRefreshTokenResponse(as, client, answer),
  )
}

async function introspected(client, authentication, token) {
  const answer = await oauth.introspectionRequest(as, client, authentication, token)
  return oauth.processIntrospectionResponse(as, client, answer)
}

async function signIn() {
  const answers = []
  watch((one) => answers.push(one))
  const [client, authentication, bound] = await application()

  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const asked = {
    redirect_uri: settings.callback,
    response_type: 'code',
    scope: settings.scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    max_age: String(settings.maxAge),
  }
  const back = await browserBackFrom(await authorization(client, authentication, asked, bound))
  const parameters = oauth.validateAuthResponse(as, client, back, settings.expectedState ?? state)
  const checks = {
    expectedNonce: settings.expectedNonce ?? nonce,
    maxAge: settings.maxAge,
    requireIdToken: true,
  }
  const redeem = [parameters, settings.callback, verifier, bound]
  const tokens = await answered(
    () => oauth.authorizationCodeGrantRequest(as, client, authentication, ...redeem),
    async (answer) => {
      const given = await oauth.processAuthorizationCodeResponse(as, client, answer, checks)
      await oauth.validateApplicationLevelSignature(as, answer)
      return given
    },
  )
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  tell({ claims, scope: tokens.scope, expiresIn: tokens.expires_in })

  const told = { answers, tokenType: tokens.token_type }
  told.algorithms = [tokens.id_token, tokens.access_token].map(algorithmOf)
  told.userinfo = await userinfoOf(client, tokens, bound)
  told.accessToken = await readAtAnApi(tokens.access_token, bound)
  const next = await refreshed(client, authentication, tokens.refresh_token, bound)
  told.rotated = next.refresh_token !== tokens.refresh_token
  told.refreshed = oauth.getValidatedIdTokenClaims(next) ?? null
  if (settings.method !== 'none') {
    told.introspected = await introspected(client, authentication, next.access_token)
  }
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, authentication, next.refresh_token),
  )
  if (settings.method !== 'none') {
    told.introspectedAfter = await introspected(client, authentication, next.access_token)
  }
  told.refreshAfterRevocation = await errorOf(
    refreshed(client, authentication, next.refresh_token, bound),
  )
  return told
}

/** Asks until somebody has answered; the library asks once, and leaves the waiting to this. */
async function poll(client, authentication, device, bound) {
  let interval = device.interval ?? 5
  for (;;) {
    await new Promise((over) => setTimeout(over, interval * 1000))
    try {
      return await answered(
        () => oauth.deviceCodeGrantRequest(as, client, authentication, device.device_code, bound),
        (answer) => oauth.processDeviceCodeResponse(as, client, answer),
      )
    } catch (refusal) {
      if (refusal.error === 'slow_down') interval += 5
      else if (refusal.error !== 'authorization_pending') throw refusal
    }
  }
}

async function connectDevice() {
  const [client, authentication, bound] = await application()
  const { scope } = settings
  const device = await oauth.processDeviceAuthorizationResponse(
    as, client, await oauth.deviceAuthorizationRequest(as, client, authentication, { scope }),
  )
  tellPolls()
  tell({ device })
  const tokens = await poll(client, authentication, device, bound)
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  const userinfo = await userinfoOf(client, tokens, bound)
  const next = await refreshed(client, authentication, tokens.refresh_token, bound)
  const rotated = next.refresh_token !== tokens.refresh_token
  return { claims, userinfo, rotated, tokenType: tokens.token_type }
}

async function runMachine() {
  const [client, authentication, bound] = await application()
  const { scope, exchange } = settings
  const { grant_type: grant, ...parameters } = exchange
  const own = await answered(
    () => oauth.clientCredentialsGrantRequest(as, client, authentication, { scope }, bound),
    (answer) => oauth.processClientCredentialsResponse(as, client, answer),
  )
  const exchanged = await answered(
    () => oauth.genericTokenEndpointRequest(as, client, authentication, grant, parameters, bound),
    (answer) => oauth.processGenericTokenEndpointResponse(as, client, answer),
  )
  return {
    own: await introspected(client, authentication, own.access_token),
    exchanged: await introspected(client, authentication, exchanged.access_token),
    issued: exchanged.issued_token_type,
    thumbprint: await bound.DPoP.calculateThumbprint(),
  }
}

await run({ signIn, connectDevice, runMachine }[settings.command ?? 'signIn'])
