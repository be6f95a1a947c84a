// A small web application that signs people in with passport-openidconnect, as its README shows.

import { once } from 'node:events'

import express from 'express'
import session from 'express-session'
import passport from 'passport'
import OpenIDConnectStrategy from 'passport-openidconnect'

import { settings, tell } from './person.mjs'

const app = express()
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const here = `http://127.0.0.1:${server.address().port}`
const metadata = await (await fetch(`${settings.issuer}/.well-known/openid-configuration`)).json()

passport.use(
  new OpenIDConnectStrategy(
    {
      issuer: metadata.issuer,
      authorizationURL: metadata.authorization_endpoint,
      tokenURL: metadata.token_endpoint,
      userInfoURL: metadata.userinfo_endpoint,
      clientID: settings.client,
      clientSecret: settings.secret,
      callbackURL: `${here}/callback`,
      scope: ['profile', 'email'],
      nonce: settings.nonce,
      maxAge: settings.maxAge,
      skipUserProfile: false,
    },
    (issuer, profile, context, idToken, accessToken, refreshToken, done) => {
      const { id, displayName, emails } = profile
      const refreshes = Boolean(refreshToken)
      return done(null, { issuer, id, displayName, emails, refreshes })
    },
  ),
)
passport.serializeUser((user, done) => done(null, user))
passport.deserializeUser((user, done) => done(null, user))

app.use(session({ secret: settings.sessionSecret, resave: false, saveUninitialized: false }))
app.use(passport.session())
app.get('/', (request, response) => response.json(request.user ?? null))
app.get('/login', passport.authenticate('openidconnect'))
app.get(
  '/callback',
  passport.authenticate('openidconnect', { failureRedirect: '/refused' }),
  (request, response) => response.redirect('/'),
)
app.get('/refused', (request, response) => response.status(403).json(null))
app.use((refusal, request, response, next) => {
  response.status(500).json({ name: refusal.name, code: refusal.code, said: refusal.message })
})

tell({ here })
