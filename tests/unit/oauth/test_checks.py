"""The checks of an authorization request, one by one, and the order they come in."""

import pytest

from keyturn.authorization_errors import (
    RequestNotSupported,
    RequestUriNotSupported,
    UnsupportedResponseType,
)
from keyturn.clients.model import Client
from keyturn.errors import InvalidRequest, InvalidScope, InvalidTarget, UnauthorizedClient
from keyturn.oauth.authorize.addressed import Addressed, Asked
from keyturn.oauth.authorize.checks import CHECKS, check
from keyturn.oauth.authorize.redirect import is_unverified, with_parameters

ISSUER = "https://id.example"
API, OTHER = "https://api.example", "https://billing.example"
CLIENT = Client(
    id="c",
    name="C",
    kind="confidential",
    grant_types=frozenset({"authorization_code"}),
    scopes=frozenset({"openid", "email", "offline_access", "orders.read"}),
    audiences=(API, OTHER),
)
GOOD = {
    "response_type": "code",
    "scope": "openid",
    "code_challenge": "a" * 43,
    "code_challenge_method": "S256",
}


def subject_of(hint):
    if hint != "genuine":
        raise InvalidRequest("id_token_hint: not an ID token of ours")
    return "ada"


def checked(client=CLIENT, **changes):
    pairs = [
        (name, one)
        for name, value in {**GOOD, **changes}.items()
        if value is not None
        for one in (value if isinstance(value, list) else [value])
    ]
    addressed = Addressed(client, "https://app.example/cb", Asked.of(pairs))
    return check(addressed, ISSUER, subject_of)


def test_a_good_request_is_kept_as_it_was_meant():
    request = checked(
        state="s",
        nonce="n",
        prompt="login consent",
        max_age="60",
        acr_values="b a b",
        ui_locales="de en",
        login_hint="ada@example.com",
        id_token_hint="genuine",
        response_mode="form_post",
    )
    assert (request.client_id, request.redirect_uri) == ("c", "https://app.example/cb")
    assert (request.state, request.nonce, request.code_challenge) == ("s", "n", "a" * 43)
    assert request.prompt == {"login", "consent"}
    assert (request.max_age, request.acr_values, request.ui_locales) == (
        60,
        ("b", "a"),
        ("de", "en"),
    )
    assert (request.hinted_subject, request.login_hint) == ("ada", "ada@example.com")
    assert (request.response_mode, request.audiences) == ("form_post", (API, ISSUER))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"state": ["a", "b"]}, InvalidRequest),
        ({"unknown": ["a", "b"]}, InvalidRequest),
        ({"nonce": "n" * 2049}, InvalidRequest),
        ({"request": "x"}, RequestNotSupported),
        ({"request_uri": "urn:x"}, RequestUriNotSupported),
        ({"response_type": None}, InvalidRequest),
        ({"response_type": "token"}, UnsupportedResponseType),
        ({"response_mode": "fragment"}, InvalidRequest),
        ({"scope": "openid orders.write"}, InvalidScope),
        ({"scope": ' "'}, InvalidScope),
        ({"resource": "https://evil.example"}, InvalidTarget),
        ({"resource": [API, "https://evil.example"]}, InvalidTarget),
        ({"code_challenge": None}, InvalidRequest),
        ({"code_challenge": "a" * 42}, InvalidRequest),
        ({"code_challenge_method": None}, InvalidRequest),
        ({"code_challenge_method": "plain"}, InvalidRequest),
        ({"prompt": "none login"}, InvalidRequest),
        ({"prompt": "create"}, InvalidRequest),
        ({"max_age": "-1"}, InvalidRequest),
        ({"max_age": "1.5"}, InvalidRequest),
        ({"max_age": "٣"}, InvalidRequest),
        ({"max_age": "9" * 11}, InvalidRequest),
        ({"id_token_hint": "forged"}, InvalidRequest),
        ({"claims": "{"}, InvalidRequest),
        (
            {"id_token_hint": "genuine", "claims": '{"id_token": {"sub": {"value": "bob"}}}'},
            InvalidRequest,
        ),
    ],
)
def test_a_bad_request_is_refused(changes, refusal):
    with pytest.raises(refusal):
        checked(**changes)


def test_a_client_without_the_grant_is_refused():
    with pytest.raises(UnauthorizedClient):
        checked(Client("c", "C", "confidential", frozenset(), frozenset(), (API,)))


def test_repetition_is_decided_first_and_what_is_asked_for_last():
    assert [one.__name__ for one in CHECKS][:2] == ["_once", "_sizes"]
    with pytest.raises(InvalidRequest):
        checked(response_type="token", state=["a", "b"])


@pytest.mark.parametrize(
    ("asked", "audiences"),
    [
        ({}, (API, ISSUER)),
        ({"scope": "orders.read"}, (API,)),
        ({"resource": OTHER}, (OTHER, ISSUER)),
        ({"resource": [OTHER, API], "scope": "orders.read"}, (OTHER, API)),
    ],
)
def test_a_token_is_for_the_resources_asked_for_and_for_us_when_it_is_about_a_person(
    asked, audiences
):
    assert checked(**asked).audiences == audiences


def test_what_is_about_a_person_is_given_only_when_it_is_named():
    assert checked(scope=None).scopes == {"orders.read"}


CLAIMS = """{
    "userinfo": {"name": null, "email": {"essential": true}},
    "id_token": {"acr": {"essential": true, "values": ["a", "b"]}, "sub": {"value": "ada"},
                 "email": null},
    "other": {"x": 1}
}"""


def test_the_parameter_claims_is_read():
    request = checked(claims=CLAIMS)
    assert request.id_token_claims == ("email",)
    assert (request.essential_acr, request.hinted_subject) == ({"a", "b"}, "ada")


@pytest.mark.parametrize(
    ("claims", "scope", "scopes"),
    [
        ('{"userinfo": {"email": null}}', "openid", {"openid", "email"}),
        ('{"userinfo": {"email_verified": {"essential": true}}}', "openid", {"openid", "email"}),
        ('{"id_token": {"email": null}}', "openid orders.read", {"openid", "email", "orders.read"}),
        # what the client may not have, nobody has, or no ID token is made for
        ('{"userinfo": {"name": {"essential": true}}}', "openid", {"openid"}),
        ('{"userinfo": {"phone_number": null, "sub": null}}', "openid", {"openid"}),
        ('{"userinfo": {"email": null}}', "orders.read", {"orders.read"}),
        ('{"userinfo": {"email": null}}', None, {"orders.read"}),
        ('{"other": {"email": null}}', "openid", {"openid"}),
    ],
)
def test_a_claim_asked_for_by_name_is_a_question_for_its_scope(claims, scope, scopes):
    assert checked(claims=claims, scope=scope).scopes == scopes


@pytest.mark.parametrize(
    ("acr", "essential"),
    [
        ('{"essential": true, "value": "a"}', {"a"}),
        ('{"essential": true}', set()),
        ('{"essential": false, "values": ["a"]}', set()),
        ('{"essential": "true", "values": ["a"]}', set()),
        ("null", set()),
    ],
)
def test_an_acr_is_essential_only_when_that_is_said(acr, essential):
    assert checked(claims=f'{{"id_token": {{"acr": {acr}}}}}').essential_acr == essential


@pytest.mark.parametrize(
    "claims",
    [
        "[]",
        "1",
        '{"id_token": []}',
        '{"id_token": {"email": true}}',
        '{"id_token": {"acr": {"essential": true, "values": "a"}}}',
        '{"id_token": {"acr": {"essential": true, "values": [1]}}}',
        '{"id_token": {"sub": {"value": 1}}}',
        '{"id_token": {}, "id_token": {}}',
        '{"userinfo": ' + "[" * 5000,
    ],
)
def test_claims_that_are_no_such_thing_are_refused(claims):
    with pytest.raises(InvalidRequest):
        checked(claims=claims)


@pytest.mark.parametrize(
    ("uri", "unverified"),
    [
        ("https://app.example/cb", False),
        ("http://127.0.0.1/cb", True),
        ("http://localhost/cb", True),
        ("com.example.app:/cb", True),
    ],
)
def test_only_https_proves_who_answers(uri, unverified):
    assert is_unverified(uri) is unverified


@pytest.mark.parametrize(
    ("uri", "whole"),
    [
        ("https://a.example/cb", "https://a.example/cb?state=a%26b%20c&x=%C3%BC"),
        ("https://a.example/cb?k=v", "https://a.example/cb?k=v&state=a%26b%20c&x=%C3%BC"),
        ("com.example.app:/cb", "com.example.app:/cb?state=a%26b%20c&x=%C3%BC"),
    ],
)
def test_an_answer_stands_behind_the_query_a_redirect_uri_has(uri, whole):
    assert with_parameters(uri, [("state", "a&b c"), ("x", "ü")]) == whole
