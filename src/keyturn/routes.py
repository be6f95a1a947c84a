"""The doors of the public port with their routes: hot ones first."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn import paths
from keyturn.errors import InvalidRequest
from keyturn.hosted import Hosted, by_link_and_form
from keyturn.oauth.authorize.answer import Replies
from keyturn.oauth.authorize.course import Course
from keyturn.oauth.authorize.endpoint import Authorize
from keyturn.oauth.authorize.request_object import RequestObjects
from keyturn.oauth.client_assertion import ClientAssertions
from keyturn.oauth.client_authentication import ClientAuthentication
from keyturn.oauth.device_authorization import DeviceAuthorization
from keyturn.oauth.end_session import EndSession
from keyturn.oauth.grants.authorization_code import AuthorizationCodeGrant
from keyturn.oauth.grants.base import Grant
from keyturn.oauth.grants.client_credentials import ClientCredentialsGrant
from keyturn.oauth.grants.device_code import DeviceCodeGrant
from keyturn.oauth.grants.first_tokens import FirstTokens
from keyturn.oauth.grants.refresh_token import RefreshTokenGrant
from keyturn.oauth.grants.token_exchange import TokenExchangeGrant
from keyturn.oauth.introspection import Introspection
from keyturn.oauth.jwks import Jwks
from keyturn.oauth.metadata import Metadata
from keyturn.oauth.par import PushedAuthorization
from keyturn.oauth.registration import Registration
from keyturn.oauth.revocation import Revocation
from keyturn.oauth.status_list import StatusList
from keyturn.oauth.token import Token
from keyturn.oauth.userinfo import Userinfo
from keyturn.pages.answers import Answers
from keyturn.parts import Parts
from keyturn.registrations.first_use import FirstUse
from keyturn.session_api.bearer import Bearer
from keyturn.session_api.login import Login
from keyturn.session_api.logout import Logout
from keyturn.session_api.logout_all import LogoutAll
from keyturn.session_api.me import Me
from keyturn.session_api.openapi import describe
from keyturn.session_api.password import Password
from keyturn.session_api.reauthenticate import Reauthenticate
from keyturn.session_api.refresh import Refresh
from keyturn.session_api.sessions import Sessions
from keyturn.session_api.transport import Transport
from keyturn.sessions.active import ActiveSessions
from keyturn.web.body import BodyLimits
from keyturn.web.cookies import SessionCookies
from keyturn.web.forms import Forms
from keyturn.web.json_body import JsonBodies
from keyturn.web.openapi import OpenApi


def public_routes(parts: Parts, hosted: Hosted) -> Sequence[Route]:
    """Everything the world may call."""
    return [
        *oauth_routes(parts),
        *registration_routes(parts),
        *session_routes(parts),
        *browser_routes(parts, hosted.answers),
        *hosted.routes(parts),
    ]


def oauth_routes(parts: Parts) -> Sequence[Route]:
    """The protocol's doors."""
    limits = BodyLimits(parts.settings.server.max_form_bytes, parts.settings.server.body_timeout)
    forms = Forms(limits)
    authentication = _client_authentication(parts)
    token = Token(
        forms=forms,
        authentication=authentication,
        dpop=parts.dpop,
        grants={one.name: one for one in _grants(parts)},
        metrics=parts.metrics,
        first_use=FirstUse(parts.database),
    )
    introspection = Introspection(
        forms, authentication, parts.registry, parts.verifier, parts.metrics, parts.audit
    )
    revocation = Revocation(
        forms, authentication, parts.ending, parts.verifier, parts.revocations, parts.audit
    )
    devices = DeviceAuthorization(
        forms, authentication, parts.device_codes, parts.device_throttle, parts.address
    )
    max_age = parts.settings.keys.jwks_max_age
    metadata = Metadata.of(
        parts.settings.issuer,
        max_age,
        require_par=parts.settings.pushed_requests.required,
        registers=parts.settings.registration.mode != "off",
    )
    return (
        _post(paths.TOKEN, token.post),
        _post(paths.INTROSPECT, introspection.post),
        Route(paths.JWKS, Jwks(parts.keyring, max_age).get),
        Route(paths.STATUS_LIST, StatusList(parts.status_lists).get),
        _post(paths.REVOKE, revocation.post),
        _post(paths.PAR, _pushing(parts, forms, authentication).post),
        _post(paths.DEVICE_AUTHORIZATION, devices.post),
        Route(paths.OPENID_CONFIGURATION, metadata.get),
        Route(paths.OAUTH_METADATA, metadata.get),
    )


def _grants(parts: Parts) -> Sequence[Grant]:
    first_tokens = FirstTokens(parts.access_tokens, parts.id_tokens, parts.accounts, parts.rotation)
    return (
        AuthorizationCodeGrant(parts.codes, first_tokens),
        RefreshTokenGrant(parts.rotation, parts.access_tokens, parts.id_tokens),
        ClientCredentialsGrant(parts.access_tokens, parts.clock),
        DeviceCodeGrant(parts.device_codes, first_tokens),
        TokenExchangeGrant(
            access_tokens=parts.access_tokens,
            verifier=parts.verifier,
            registry=parts.registry,
            accounts=parts.accounts,
            audit=parts.audit,
            clock=parts.clock,
        ),
    )


def _client_authentication(parts: Parts) -> ClientAuthentication:
    return ClientAuthentication(
        registry=parts.registry,
        assertions=ClientAssertions(
            parts.client_keys, parts.replays, parts.clock, parts.settings.issuer
        ),
        throttle=parts.throttle,
        clock=parts.clock,
        address_of=parts.address.of,
        audit=parts.audit,
    )


def _pushing(
    parts: Parts, forms: Forms, authentication: ClientAuthentication
) -> PushedAuthorization:
    issuer, skew = parts.settings.issuer, parts.settings.tokens.clock_skew
    return PushedAuthorization(
        forms=forms,
        authentication=authentication,
        objects=RequestObjects(parts.client_keys, parts.clock, issuer, skew),
        dpop=parts.dpop,
        pushed=parts.pushed_requests,
        subject_of=_subject_of(parts),
        issuer=issuer,
        metrics=parts.metrics,
    )


def registration_routes(parts: Parts) -> Sequence[Route]:
    """The doors of clients that register themselves: as if they were not there, when off."""
    settings = parts.settings
    if settings.registration.mode == "off":
        return ()
    limits = BodyLimits(settings.server.max_form_bytes, settings.server.body_timeout)
    door = Registration(
        JsonBodies(limits), parts.registrations, parts.throttle, parts.address.of, settings.issuer
    )
    by_method = {"GET": door.get, "PUT": door.put, "DELETE": door.delete}

    async def managed(request: Request) -> Response:
        return await by_method.get(request.method, door.get)(request)

    return (
        _post(paths.REGISTER, door.post),
        Route(paths.REGISTRATION, managed, methods=list(by_method)),
    )


def session_routes(parts: Parts) -> Sequence[Route]:
    """The doors of the JSON API for first-party apps."""
    settings, rotation, signing = parts.settings, parts.rotation, parts.access_tokens
    bodies = JsonBodies(BodyLimits(settings.server.max_body_bytes, settings.server.body_timeout))
    cookies = SessionCookies(
        settings.issuer, settings.session_api.cookie_path, secure=not settings.is_loopback
    )
    transport = Transport(parts.registry, cookies, rotation, parts.dpop, parts.metrics)
    bearer = Bearer(parts.presented_tokens, settings.issuer)
    active, authenticator = ActiveSessions(parts.database), parts.authenticator
    refresh = Refresh(bodies, transport, rotation, signing)
    login = Login(
        bodies=bodies,
        transport=transport,
        authenticator=authenticator,
        starter=parts.starter,
        access_tokens=signing,
        address=parts.address,
        settings=settings.sessions,
        issuer=settings.issuer,
    )
    sessions = Sessions(bodies, transport, bearer, active, parts.ending, parts.registry)
    proving = Reauthenticate(bodies, transport, authenticator, active, signing, parts.address)
    return (
        _post(paths.REFRESH, refresh.post),
        Route(paths.ME, Me(bearer, parts.accounts).get),
        _post(paths.LOGIN, login.post),
        Route(paths.SESSIONS, sessions.get),
        Route(paths.SESSION, sessions.delete, methods=["DELETE"]),
        _post(paths.LOGOUT, Logout(bodies, transport, parts.ending).post),
        _post(paths.LOGOUT_ALL, LogoutAll(bodies, transport, parts.accounts).post),
        _post(paths.REAUTHENTICATE, proving.post),
        _post(paths.PASSWORD, Password(bodies, transport, parts.accounts).post),
        Route(paths.SESSION_OPENAPI, OpenApi.of(lambda: describe(settings.issuer)).get),
    )


def browser_routes(parts: Parts, answers: Answers) -> Sequence[Route]:
    """The protocol's doors that browsers come to."""
    settings, cookies = parts.settings, parts.browser_cookies
    limits = BodyLimits(settings.server.max_form_bytes, settings.server.body_timeout)
    forms = Forms(limits)
    course = Course(
        requests=parts.requests,
        codes=parts.codes,
        consents=parts.consents,
        logins=parts.logins,
        cookies=cookies,
        replies=Replies(answers, settings.issuer, parts.metrics),
        address=parts.address,
        step_up_max_age=timedelta(seconds=settings.sessions.step_up_max_age),
    )
    authorize = Authorize(
        forms=forms,
        registry=parts.registry,
        requests=parts.requests,
        pushed=parts.pushed_requests,
        course=course,
        subject_of=_subject_of(parts),
        require_par=settings.pushed_requests.required,
    )
    userinfo = Userinfo(parts.presented_tokens, parts.accounts, settings.issuer)
    leave = EndSession(
        forms=forms,
        registry=parts.registry,
        id_tokens=parts.id_tokens,
        logins=parts.logins,
        cookies=cookies,
        csrf=parts.csrf,
        farewells=answers,
        issuer=settings.issuer,
    )
    return (
        Route(paths.USERINFO, userinfo.get, methods=["GET", "POST"]),
        by_link_and_form(paths.AUTHORIZE, authorize.get, authorize.post),
        Route(paths.RESUME, authorize.resume),
        by_link_and_form(paths.END_SESSION, leave.get, leave.post),
    )


def _subject_of(parts: Parts) -> Callable[[str], str]:
    def subject_of(hint: str) -> str:
        identity = parts.id_tokens.verify_hint(hint)
        if identity is None:
            raise InvalidRequest("id_token_hint: not an ID token of ours")
        return identity.sub

    return subject_of


def _post(path: str, door: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, door, methods=["POST"])
