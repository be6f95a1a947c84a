"""`oidcc-config-certification-test-plan`: what discovery says, member by member."""

import re
from urllib.parse import urlsplit

import pytest

from support.conformance import DISCOVERY, check_keys

MEMBERS = {
    # OpenID Connect Discovery section 3
    "issuer": str,
    "authorization_endpoint": str,
    "token_endpoint": str,
    "userinfo_endpoint": str,
    "jwks_uri": str,
    "registration_endpoint": str,
    "scopes_supported": list,
    "response_types_supported": list,
    "response_modes_supported": list,
    "grant_types_supported": list,
    "acr_values_supported": list,
    "subject_types_supported": list,
    "id_token_signing_alg_values_supported": list,
    "userinfo_signing_alg_values_supported": list,
    "request_object_signing_alg_values_supported": list,
    "token_endpoint_auth_methods_supported": list,
    "token_endpoint_auth_signing_alg_values_supported": list,
    "display_values_supported": list,
    "claim_types_supported": list,
    "claims_supported": list,
    "service_documentation": str,
    "claims_locales_supported": list,
    "ui_locales_supported": list,
    "claims_parameter_supported": bool,
    "request_parameter_supported": bool,
    "request_uri_parameter_supported": bool,
    "require_request_uri_registration": bool,
    "op_policy_uri": str,
    "op_tos_uri": str,
    # RFC 8414 section 2 and what is registered beside it
    "revocation_endpoint": str,
    "revocation_endpoint_auth_methods_supported": list,
    "revocation_endpoint_auth_signing_alg_values_supported": list,
    "introspection_endpoint": str,
    "introspection_endpoint_auth_methods_supported": list,
    "introspection_endpoint_auth_signing_alg_values_supported": list,
    "code_challenge_methods_supported": list,
    "authorization_response_iss_parameter_supported": bool,  # RFC 9207
    "pushed_authorization_request_endpoint": str,  # RFC 9126
    "require_pushed_authorization_requests": bool,
    "device_authorization_endpoint": str,  # RFC 8628
    "dpop_signing_alg_values_supported": list,  # RFC 9449
    "prompt_values_supported": list,  # Initiating User Registration 1.0
    "end_session_endpoint": str,  # RP-Initiated Logout 1.0
    "backchannel_logout_supported": bool,  # Back-Channel Logout 1.0
    "backchannel_logout_session_supported": bool,
}
"""Members that somebody has registered, and their JSON types; another is worth a warning."""
COMPLETE = {
    *("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"),
    *("scopes_supported", "response_types_supported", "response_modes_supported"),
    *("grant_types_supported", "subject_types_supported", "acr_values_supported"),
    *("id_token_signing_alg_values_supported", "token_endpoint_auth_methods_supported"),
    "token_endpoint_auth_signing_alg_values_supported",
    *("display_values_supported", "claim_types_supported", "claims_supported"),
    *("ui_locales_supported", "claims_parameter_supported", "request_parameter_supported"),
    *("request_uri_parameter_supported", "code_challenge_methods_supported"),
    "end_session_endpoint",
}
"""What this server has an answer to, required by the standard or not."""
SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2}|-[0-9]{3})?")


def check_document(document, discovery_url):
    """Check a document of discovery; return what is worth a warning."""
    issuer = urlsplit(document["issuer"])
    assert document["issuer"] + DISCOVERY == discovery_url
    assert (issuer.scheme, issuer.query, issuer.fragment) == ("https", "", "")
    for member, value in document.items():
        kind = MEMBERS.get(member, type(value))
        assert type(value) is kind, member
        if member.endswith(("_endpoint", "_uri")):
            assert urlsplit(value).scheme == "https", member
        if kind is list:
            assert value, member
            assert all(isinstance(one, str) for one in value), member
            assert len(set(value)) == len(value), member
    for member in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        assert urlsplit(document[member]).netloc, member
    assert "code" in document["response_types_supported"]
    assert set(document["subject_types_supported"]) <= {"public", "pairwise"}
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "authorization_code" in document["grant_types_supported"]
    assert "openid" in document["scopes_supported"]
    assert all(SCOPE.fullmatch(scope) for scope in document["scopes_supported"])
    for locale in (
        *document["ui_locales_supported"],
        *document.get("claims_locales_supported", ()),
    ):
        assert LOCALE.fullmatch(locale), locale
    return [f"{member} is registered nowhere" for member in set(document) - set(MEMBERS)]


async def test_oidcc_discovery_endpoint_verification(run):
    api = run.provider.api
    answer = await api.get(DISCOVERY)
    assert answer.status_code == 200
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    document = answer.json()
    for sentence in check_document(document, api.issuer + DISCOVERY):
        run.warn(sentence)
    assert set(document) >= COMPLETE
    assert document["claims_parameter_supported"] is True
    assert document["request_parameter_supported"] is False
    assert document["request_uri_parameter_supported"] is False
    assert document["display_values_supported"] == ["page"]
    assert document["claim_types_supported"] == ["normal"]
    check_keys((await api.get(run.provider.path("jwks_uri"))).json())


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://localhost:8443/"},
        {"token_endpoint": "http://localhost:8443/oauth2/token"},
        {"jwks_uri": "/jwks"},
        {"response_types_supported": ["id_token"]},
        {"subject_types_supported": ["private"]},
        {"id_token_signing_alg_values_supported": ["ES256"]},
        {"grant_types_supported": []},
        {"scopes_supported": ["openid", "a b"]},
        {"ui_locales_supported": ["en_US"]},
        {"ui_locales_supported": "en"},
        {"claims_parameter_supported": "true"},
        {"code_challenge_methods_supported": "S256"},
        {"acr_values_supported": ["a", "a"]},
    ],
    ids=range(13),
)
def test_a_document_that_is_wrong_is_found(provider, change):
    url = provider.document["issuer"] + DISCOVERY
    assert check_document(provider.document, url) == []
    with pytest.raises(AssertionError):
        check_document({**provider.document, **change}, url)


def test_a_member_nobody_knows_is_worth_a_warning(provider):
    document = {**provider.document, "mood": "good"}
    found = check_document(document, document["issuer"] + DISCOVERY)
    assert found == ["mood is registered nowhere"]
