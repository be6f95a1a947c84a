"""Every door is told alike by the documents, the OpenAPI document and the metadata."""

import re

import pytest
from starlette.applications import Starlette

from keyturn import paths
from keyturn.admin import openapi as admin_openapi
from keyturn.admin.gate import Doorway
from keyturn.applications import management_app, public_app
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.management import admin_operations, admin_routes
from keyturn.oauth import metadata
from keyturn.parts import Parts
from keyturn.session_api import openapi
from keyturn.telemetry.logs import stderr_writer
from support import replicas
from support.tree import differences, table, text

ISSUER = "https://id.example"
FAMILIES = ("/auth", "/oauth2", "/oauth2/...", "/admin", "/admin/v1")
ABOUT_ITSELF = {
    f"GET {paths.OPENID_CONFIGURATION}",
    f"GET {paths.OAUTH_METADATA}",
    f"GET {paths.SESSION_OPENAPI}",
    f"GET {paths.ADMIN_OPENAPI}",
}
"""The descriptions, which do not describe themselves."""


def answered(app):
    """Return `METHOD path` of every route that an application answers."""
    while not isinstance(app, Starlette):
        app = app.app
    return {f"{method} {one.path}" for one in app.routes for method in one.methods - {"HEAD"}}


def documented(page, *headings):
    """Return the same of what the tables under these headings tell."""
    doors = (
        re.match(r"([A-Z]+) `(/\S*)`$", row[0])
        for heading in headings
        for row in table(page, heading)
    )
    return {f"{one[1]} {one[2]}".replace("/{id}", "/{session_id}") for one in doors if one}


def described(document):
    """Return the same of an OpenAPI document."""
    return {f"{one.upper()} {path}" for path, ways in document["paths"].items() for one in ways}


BY_LINK_TOO = {"authorization_endpoint", "userinfo_endpoint", "end_session_endpoint"}
"""What browsers and clients may also get (OpenID Connect Core 3.1.2.1, 5.3, RP-Initiated Logout)."""


def advertised(document):
    """Return the same of the metadata: endpoints are posted to, documents are got."""
    methods = {"endpoint": ("POST",), "uri": ("GET",)}
    return {
        f"{method} {value.removeprefix(ISSUER)}"
        for name, value in document.items()
        for method in (
            ("GET", "POST") if name in BY_LINK_TOO else methods.get(name.rpartition("_")[2], ())
        )
    }


@pytest.fixture(scope="module")
def parts():
    """The parts of a server with every door open; nothing connects."""
    environ = replicas.settings("postgresql:///nowhere", None, registration__mode="token")
    return Parts.of(load_settings(environ), SystemClock())


@pytest.fixture(scope="module")
def public(parts):
    return answered(public_app(parts, stderr_writer()))


def test_every_public_door_is_documented_by_its_method_and_every_documented_one_answers(public):
    told = documented(text("docs/endpoints.md"), "## Protocol", "## Hosted pages", "## Session API")
    assert differences(told, public) == []


def test_the_management_port_is_documented_and_answers(parts):
    told = documented(text("docs/endpoints.md"), "## Management port")
    assert differences(told, answered(management_app(parts, stderr_writer()))) == []


def test_the_openapi_document_describes_the_session_api(public):
    doors = {one for one in public - ABOUT_ITSELF if " /auth/" in one}
    assert differences(described(openapi.describe(ISSUER)), doors) == []


def test_the_openapi_document_describes_the_admin_api(parts):
    doors = {one for one in answered(management_app(parts, stderr_writer())) if " /admin/" in one}
    document = admin_openapi.describe(ISSUER, admin_operations(parts))
    assert differences(described(document), doors - ABOUT_ITSELF) == []


def test_AD_1_every_administrative_route_is_behind_the_gate_but_its_document(parts):
    doors = {one.path: one.endpoint for one in admin_routes(parts)}
    open_to_all = {path for path, door in doors.items() if not behind_gate(door)}
    assert open_to_all == {paths.ADMIN_OPENAPI}


def behind_gate(door):
    return isinstance(getattr(door, "__self__", None), Doorway)


def test_the_metadata_name_the_doors_of_the_protocol(public):
    for_people = documented(text("docs/endpoints.md"), "## Hosted pages")
    doors = {one for one in public - ABOUT_ITSELF - for_people if " /auth/" not in one}
    # Where a client is managed, its registration says (RFC 7592 section 3).
    doors = {one for one in doors if paths.REGISTRATION not in one}
    # Where its status is, every access token says (Token Status List section 6.2).
    doors = {one for one in doors if paths.STATUS_LIST not in one}
    described_doors = advertised(metadata.describe(ISSUER, registers=True))
    assert differences(described_doors, doors) == []


def test_every_url_that_has_a_name_is_answered(parts, public):
    real = public | answered(management_app(parts, stderr_writer()))
    named = {value for name, value in vars(paths).items() if name.isupper()}
    assert differences(named, {one.partition(" ")[2] for one in real}) == []


@pytest.mark.parametrize(
    "page", ["README.md", "docs/endpoints.md", "docs/operations.md", "docs/admin.md"]
)
def test_every_url_a_page_mentions_exists(page, parts, public):
    known = {one.partition(" ")[2].replace("{session_id}", "{id}") for one in public}
    known |= {one.partition(" ")[2] for one in answered(management_app(parts, stderr_writer()))}
    pattern = r"`(/(?:auth|oauth2|health|metrics|admin|\.well-known)[^` ]*)`"
    assert set(re.findall(pattern, text(page))) - known - set(FAMILIES) == set()


# -- what the guards find when it is planted ------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad", "complaints"),
    [
        ("POST `/auth/login`", "sign in", ["POST /auth/login: told nowhere"]),
        (
            "DELETE `/auth/sessions/{id}`",
            "GET `/auth/sessions/{id}`",
            [
                "DELETE /auth/sessions/{session_id}: told nowhere",
                "GET /auth/sessions/{session_id}: there is no such thing",
            ],
        ),
        (
            "POST `/oauth2/token`",
            "POST `/oauth2/push` |\n| POST `/oauth2/token`",
            ["POST /oauth2/push: there is no such thing"],
        ),
    ],
)
def test_a_page_that_leaves_out_or_invents_a_door_is_found(good, bad, complaints, public):
    page = text("docs/endpoints.md")
    assert good in page
    told = documented(page.replace(good, bad), "## Protocol", "## Hosted pages", "## Session API")
    assert differences(told, public) == complaints


def test_documents_for_machines_that_say_something_else_are_found():
    assert described({"paths": {"/auth/me": {"get": {}, "put": {}}}}) == {
        "GET /auth/me",
        "PUT /auth/me",
    }
    told = {"jwks_uri": f"{ISSUER}/keys", "token_endpoint": f"{ISSUER}/token", "scopes": []}
    assert advertised(told) == {"GET /keys", "POST /token"}
    assert advertised({"userinfo_endpoint": f"{ISSUER}/me"}) == {"GET /me", "POST /me"}
