"""Which descriptions are refused, and that every reason is named at once."""

import pytest

from keyturn.clients.definition import ClientDefinition
from keyturn.clients.rules import Limits, complete
from keyturn.errors import InvalidClientMetadata
from keyturn.outgoing.policy import Policy
from support.assertions import Signer

LIMITS = Limits("https://id.example")
PUBLIC = {
    "id": "web",
    "kind": "public",
    "grant_types": ["refresh_token"],
    "audiences": ["https://api.example"],
}
MACHINE = {
    "id": "job",
    "kind": "confidential",
    "grant_types": ["client_credentials"],
    "audiences": ["https://api.example"],
}


def completed(limits=LIMITS, **raw):
    return complete(ClientDefinition.parse(raw), limits)


def problems(limits=LIMITS, **raw):
    with pytest.raises(InvalidClientMetadata) as caught:
        completed(limits, **raw)
    return [problem.path for problem in caught.value.problems]


KEYS = {"keys": [Signer.of("https://id.example").jwk]}
AT = "https://job.example/jwks.json"


def test_a_client_that_signs_has_keys_here_or_at_its_address():
    signing = {**MACHINE, "auth_method": "private_key_jwt"}
    assert completed(**signing, jwks=KEYS).jwks == KEYS
    assert completed(**signing, jwks_uri=AT).jwks_uri == AT
    assert problems(**signing) == ["jwks"]
    assert problems(**signing, jwks=KEYS, jwks_uri=AT) == ["jwks"]
    assert problems(**{**PUBLIC, "auth_method": "private_key_jwt", "jwks": KEYS}) == ["auth_method"]
    assert completed(**PUBLIC, jwks=KEYS).jwks == KEYS
    inside = "https://127.1/jwks.json"
    assert problems(**signing, jwks_uri=inside) == ["jwks_uri"]
    assert problems(**MACHINE, jwks_uri=inside) == ["jwks_uri"]


@pytest.mark.parametrize("odd", ["a\0", "\ud800", 2**64, [{"deep": "\udfff"}]], ids=ascii)
def test_keys_hold_nothing_that_could_not_be_kept(odd):
    signing = {**MACHINE, "auth_method": "private_key_jwt"}
    [key] = KEYS["keys"]
    for keys in ({"keys": [{**key, "odd": odd}]}, {**KEYS, "odd": odd}):
        assert problems(**signing, jwks=keys) == ["jwks"]


CODE = {"grant_types": ["authorization_code"], "redirect_uris": ["https://app.example/cb"]}


def test_a_client_of_the_code_flow_needs_pkce_and_consent_unless_told_otherwise():
    shop = completed(**{**PUBLIC, **CODE})
    assert (shop.require_pkce, shop.skip_consent) == (True, False)
    assert shop.response_modes == ("form_post", "query")
    loose = completed(**{**MACHINE, **CODE, "require_pkce": False})
    assert not loose.require_pkce


KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def test_who_must_push_has_the_code_flow_and_who_must_sign_has_keys():
    for must in ("require_par", "require_signed_request_object"):
        assert must in problems(**MACHINE, **{must: True}, jwks={"keys": [KEY]})
    shop, signed = {**PUBLIC, **CODE}, "require_signed_request_object"
    assert problems(**shop, **{signed: True}) == [signed]
    assert completed(**shop, require_par=True).require_par
    assert completed(**shop, **{signed: True}, jwks={"keys": [KEY]})
    assert completed(**shop, **{signed: True}, jwks_uri="https://app.example/jwks.json")


def test_what_is_left_open_is_filled_in():
    public, machine = completed(**PUBLIC), completed(**MACHINE)
    assert (public.name, public.auth_method) == ("web", "none")
    assert (machine.name, machine.auth_method) == ("job", "client_secret_basic")


def test_the_first_administrator_needs_no_audience():
    """The command line of the manual: `clients add ops --grant ... --scope ...`."""
    ops = {**MACHINE, "audiences": [], "scopes": ["keyturn.admin.write"]}
    assert completed(**ops).audiences == ("https://id.example/admin",)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"grant_types": []}, "grant_types"),
        ({"audiences": []}, "audiences"),
        ({"grant_types": ["client_credentials"]}, "grant_types"),
        ({"auth_method": "client_secret_basic"}, "auth_method"),
        ({"introspects": ["https://api.example"]}, "introspects"),
        ({"rotation": False}, "rotation"),
        ({"scopes": ["keyturn.admin.read"]}, "scopes"),
        ({"scopes": ["keyturn.secret"]}, "scopes"),
        ({"access_token_lifetime": 59}, "access_token_lifetime"),
        ({"idle_lifetime": 59}, "idle_lifetime"),
        ({"absolute_lifetime": 59}, "absolute_lifetime"),
        ({"idle_lifetime": 7200, "absolute_lifetime": 3600}, "idle_lifetime"),
        ({"grant_types": ["authorization_code"]}, "redirect_uris"),
        ({"redirect_uris": ["https://app.example/cb"]}, "grant_types"),
        ({**CODE, "require_pkce": False}, "require_pkce"),
        ({**CODE, "response_modes": []}, "response_modes"),
        ({**CODE, "id_token_claims": ["email"]}, "id_token_claims"),
        ({**CODE, "scopes": ["openid"], "id_token_claims": ["sub"]}, "id_token_claims[0]"),
        ({"backchannel_logout_uri": "http://app.example/x"}, "backchannel_logout_uri"),
        ({"backchannel_logout_uri": "https://localhost/x"}, "backchannel_logout_uri"),
        ({"backchannel_logout_uri": "https://10.0.0.1/x"}, "backchannel_logout_uri"),
    ],
)
def test_a_public_client_is_refused_when(change, path):
    assert path in problems(**{**PUBLIC, **change})


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"session_api": True}, "session_api"),
        ({"auth_method": "none"}, "auth_method"),
        ({"audiences": ["https://id.example"]}, "audiences"),
        (
            {
                "grant_types": ["client_credentials", "refresh_token"],
                "scopes": ["keyturn.admin.read"],
            },
            "scopes",
        ),
    ],
)
def test_a_confidential_client_is_refused_when(change, path):
    assert problems(**{**MACHINE, **change}) == [path]


FAPI = {**MACHINE, "profile": "fapi2", "jwks_uri": "https://bank.example/jwks"}


def test_the_profile_fapi2_sets_what_it_demands():
    asked = {"require_par": False, "require_dpop": False, "rotation": True}
    client = completed(**{**FAPI, **CODE, **asked})
    assert (client.require_par, client.require_dpop, client.rotation) == (True, True, False)
    assert client.auth_method == "private_key_jwt"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"auth_method": "client_secret_basic"}, "profile"),
        ({**CODE, "require_pkce": False}, "require_pkce"),
        ({**CODE, "redirect_uris": ["http://127.0.0.1/cb"]}, "redirect_uris"),
        ({**CODE, "redirect_uris": ["com.example.app:/cb"]}, "redirect_uris"),
    ],
)
def test_a_client_of_the_profile_fapi2_is_refused_when(change, path):
    assert problems(**{**FAPI, **change}) == [path]


EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
POLICY = {"subject_clients": ["web"]}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"grant_types": [EXCHANGE]}, "token_exchange"),
        ({"token_exchange": POLICY}, "token_exchange"),
        (
            {"grant_types": [EXCHANGE], "token_exchange": {"subject_clients": []}},
            "token_exchange.subject_clients",
        ),
        (
            {"grant_types": [EXCHANGE], "token_exchange": {**POLICY, "delegation": False}},
            "token_exchange",
        ),
        (
            {"grant_types": [EXCHANGE], "token_exchange": POLICY, "scopes": ["keyturn.admin.read"]},
            "scopes",
        ),
    ],
)
def test_a_client_that_exchanges_tokens_is_refused_when(change, path):
    assert problems(**{**MACHINE, **change}) == [path]
    good = completed(**{**MACHINE, "grant_types": [EXCHANGE], "token_exchange": POLICY})
    assert (good.token_exchange.delegation, good.token_exchange.impersonation) == (True, False)


def test_a_public_client_exchanges_nothing():
    raw = {**PUBLIC, "grant_types": [EXCHANGE], "token_exchange": POLICY}
    assert problems(**raw) == ["grant_types"]


def test_rotation_may_be_off_where_a_stolen_token_is_no_use_alone():
    assert not completed(**{**MACHINE, "rotation": False}).rotation


def test_development_allows_lifetimes_of_a_second():
    limits = Limits("http://localhost:8080", shortest_lifetime=1)
    assert completed(limits, **PUBLIC, idle_lifetime=1).idle_lifetime == 1


def test_an_operator_s_list_allows_a_client_s_private_address():
    listed = Limits("https://id.example", outgoing=Policy(frozenset({"10.0.0.1:8443"})))
    uri = "https://10.0.0.1:8443/x"
    assert completed(listed, **PUBLIC, backchannel_logout_uri=uri).backchannel_logout_uri == uri
    assert problems(**PUBLIC, backchannel_logout_uri=uri) == ["backchannel_logout_uri"]


def test_every_rule_that_is_broken_is_named():
    broken = {**PUBLIC, "rotation": False, "audiences": [], "idle_lifetime": 1}
    assert problems(**broken) == ["audiences", "rotation", "idle_lifetime"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": "a b"}, "id"),
        ({"id": 5}, "id"),
        ({"kind": "secret"}, "kind"),
        ({"name": "\x07"}, "name"),
        ({"grant_types": ["password"]}, "grant_types[0]"),
        ({"grant_types": ["implicit"]}, "grant_types[0]"),
        ({"grant_types": "refresh_token"}, "grant_types"),
        ({"audiences": ["https://a", "*"]}, "audiences[1]"),
        ({"audiences": ["https://a", "https://a"]}, "audiences"),
        ({"scopes": ["a b"]}, "scopes[0]"),
        ({"origins": ["null"]}, "origins[0]"),
        ({"redirect_uris": ["https://a.example/*"]}, "redirect_uris[0]"),
        ({"post_logout_redirect_uris": ["javascript:x"]}, "post_logout_redirect_uris[0]"),
        ({"response_modes": ["fragment"]}, "response_modes[0]"),
        ({"backchannel_logout_uri": "https://app.example/#x"}, "backchannel_logout_uri"),
        ({"backchannel_logout_uri": f"https://app.example/{'x' * 512}"}, "backchannel_logout_uri"),
        ({"require_pkce": "no"}, "require_pkce"),
        ({"skip_consent": 1}, "skip_consent"),
        ({"claims": ["password_hash"]}, "claims[0]"),
        ({"grace": 61}, "grace"),
        ({"grace": -1}, "grace"),
        ({"grace": True}, "grace"),
        ({"grace": 1.5}, "grace"),
        ({"rotation": "no"}, "rotation"),
        ({"access_token_lifetime": 3601}, "access_token_lifetime"),
        ({"absolute_lifetime": 401 * 86400}, "absolute_lifetime"),
        ({"redirect_urls": []}, "redirect_urls"),
    ],
)
def test_a_field_is_refused_when(change, path):
    with pytest.raises(InvalidClientMetadata) as caught:
        ClientDefinition.parse({**PUBLIC, **change})
    assert [problem.path for problem in caught.value.problems] == [path]


def test_a_refusal_repeats_nothing_that_was_given():
    """Somebody's secret may stand in the wrong field."""
    with pytest.raises(InvalidClientMetadata) as caught:
        ClientDefinition.parse({**PUBLIC, "secretx": "hunter2hunter2", "kind": "hunter2hunter2"})
    assert "hunter2" not in str(caught.value)
