"""The modules of the Basic OP plan, which the Form Post OP plan has, too.

A plan's file makes a class of them with its response mode. A module whose work the suite would do
in minutes of waiting moves the times in the database instead.
"""

import asyncio
import hashlib
import json
import time
from typing import ClassVar
from uuid import uuid4

from support.browserless import forms_of
from support.conformance import (
    CLAIMS_OF,
    NEEDS_A_PERSON,
    Client,
    Flow,
    ResponseMode,
    Run,
    has_entropy,
    token_error,
)
from support.forging import b64

A_WHILE = 5
"""Seconds the person has been signed in for, where a module waits one or two."""
PATIENCE = 5.0
VERIFIER = f"{uuid4().hex}{uuid4().hex}"


def half_hash(token: str) -> str:
    """Return what `at_hash` must be (OpenID Connect Core section 3.1.3.6)."""
    return b64(hashlib.sha256(token.encode()).digest()[:16])


def request_object(run: Run, client: Client) -> tuple[str, dict[str, str | None]]:
    """Return an unsigned request object, and what is left of the request outside of it."""
    inside = run.request(client)
    document = {**inside, "iss": client.id, "aud": run.provider.document["issuer"]}
    outside = dict.fromkeys(("state", "nonce", "response_mode"))
    return f"{b64({'alg': 'none'})}.{b64(document)}.", outside


def check_page(run: Run, visit) -> None:
    """Check that the browser was kept here, and the person told what is wrong."""
    end = visit.end
    assert end.status_code == 400
    assert "location" not in end.headers
    assert end.headers["content-type"].startswith("text/html")
    assert 'id="error"' in end.text
    assert "answer" not in forms_of(end)


async def twice(run: Run, first: dict[str, str], second: dict[str, str]) -> tuple[Flow, Flow]:
    """Go there twice; the second time it is the same person, signed in as before."""
    one = await run.flow(**first)
    if "id_token_hint" in second:
        second = {**second, "id_token_hint": one.tokens["id_token"]}
    other = await run.flow(**second)
    assert other.pages == []
    assert other.claims["sub"] == one.claims["sub"]
    assert other.claims["auth_time"] == one.claims["auth_time"]
    return one, other


async def signed_in_a_while_ago(run: Run) -> Flow:
    """Sign in, and let it be a while ago before the client learns of it."""
    visit = await run.visit(run.provider.basic[0], stop_at="consent")
    assert visit.pages == ["login"]
    await run.age_login(A_WHILE)
    return await run.finish(await run.on(visit))


class BasicModules:
    """One test a module; `run` is its person, its browser and its plan's response mode."""

    response_mode: ClassVar[ResponseMode]

    async def test_oidcc_server(self, run: Run):
        for client in run.provider.basic:
            flow = await run.flow(client)
            assert flow.claims["at_hash"] == half_hash(flow.tokens["access_token"])
            assert "name" not in flow.claims

    async def test_oidcc_response_type_missing(self, run: Run):
        visit = await run.visit(run.provider.basic[0], response_type=None)
        assert run.error(visit) in {"unsupported_response_type", "invalid_request"}

    async def test_oidcc_idtoken_signature(self, run: Run):
        header = (await run.flow()).header
        assert header["alg"] == "RS256"
        assert header["kid"]

    async def test_oidcc_idtoken_unsigned(self, run: Run):
        """The suite asks only a server that says it signs with `none`."""
        assert "none" not in run.provider.document["id_token_signing_alg_values_supported"]

    async def test_oidcc_userinfo_get(self, run: Run):
        flow = await run.flow()
        assert flow.userinfo["sub"] == flow.claims["sub"]

    async def test_oidcc_userinfo_post_header(self, run: Run):
        flow = await run.flow()
        answer = await run.userinfo(flow.tokens["access_token"], "POST")
        run.told_of(answer, flow.claims["sub"])

    async def test_oidcc_userinfo_post_body(self, run: Run):
        flow = await run.flow()
        answer = await run.provider.api.callers[0].post(
            run.provider.path("userinfo_endpoint"),
            data={"access_token": flow.tokens["access_token"]},
        )
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        run.warn("an access token in a body is refused")

    async def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(self, run: Run):
        """Deviates: without PKCE, as the module has it, the nonce is what protects the code."""
        client = run.provider.basic[0]
        assert run.error(await run.visit(client, nonce=None)) == "invalid_request"
        flow = await run.flow(client, nonce=None, verifier=VERIFIER)
        assert "nonce" not in flow.claims

    async def test_oidcc_scope_profile(self, run: Run):
        await shows(run, "profile")

    async def test_oidcc_scope_email(self, run: Run):
        await shows(run, "email")

    async def test_oidcc_scope_address(self, run: Run):
        """The suite asks only a server that names the scope; a client may have it all the same."""
        assert "address" not in run.provider.document["scopes_supported"]
        await shows(run, "address")

    async def test_oidcc_scope_phone(self, run: Run):
        """The suite asks only a server that names the scope; a client may have it all the same."""
        assert "phone" not in run.provider.document["scopes_supported"]
        await shows(run, "phone")

    async def test_oidcc_scope_all(self, run: Run):
        """The suite asks only a server that names the scopes; a client may have them."""
        await shows(run, "profile", "email", "address", "phone")

    async def test_oidcc_ensure_other_scope_order_succeeds(self, run: Run):
        flow = await run.flow(scope="email openid")
        assert set(flow.userinfo) == {"sub", *CLAIMS_OF["email"]}

    async def test_oidcc_display_page(self, run: Run):
        await run.flow(display="page")

    async def test_oidcc_display_popup(self, run: Run):
        await run.flow(display="popup")

    async def test_oidcc_prompt_login(self, run: Run):
        first = await signed_in_a_while_ago(run)
        second = await run.flow(prompt="login")
        assert second.pages == ["login"]
        assert second.claims["auth_time"] > first.claims["auth_time"]

    async def test_oidcc_prompt_none_not_logged_in(self, run: Run):
        visit = await run.visit(run.provider.basic[0], prompt="none")
        assert visit.pages == []
        assert run.error(visit) in NEEDS_A_PERSON

    async def test_oidcc_prompt_none_logged_in(self, run: Run):
        await twice(run, {}, {"prompt": "none"})

    async def test_oidcc_max_age_1(self, run: Run):
        first = await signed_in_a_while_ago(run)
        second = await run.flow(max_age="1")
        assert second.pages == ["login"]
        assert second.claims["auth_time"] > first.claims["auth_time"]
        assert time.time() - second.claims["auth_time"] < A_WHILE * 60

    async def test_oidcc_max_age_10000(self, run: Run):
        await twice(run, {"max_age": "15000"}, {"max_age": "10000"})

    async def test_oidcc_ensure_request_with_unknown_parameter_succeeds(self, run: Run):
        await run.flow(extra="foobar")

    async def test_oidcc_id_token_hint(self, run: Run):
        await twice(run, {}, {"prompt": "none", "id_token_hint": "the first one's"})

    async def test_oidcc_login_hint(self, run: Run):
        await run.flow(login_hint="buffy@localhost")

    async def test_oidcc_ui_locales(self, run: Run):
        await run.flow(ui_locales="se")

    async def test_oidcc_claims_locales(self, run: Run):
        await run.flow(claims_locales="se")

    async def test_oidcc_ensure_request_with_acr_values_succeeds(self, run: Run):
        values = run.provider.document["acr_values_supported"]
        flow = await run.flow(acr_values=" ".join(values))
        assert flow.claims["acr"] in values

    async def test_oidcc_codereuse(self, run: Run):
        flow = await run.flow()
        again = await run.redeem(flow.client, flow.code)
        assert token_error(again) == "invalid_grant"

    async def test_oidcc_codereuse_30seconds(self, run: Run):
        flow = await run.flow()
        await run.provider.api.sql.execute(
            "update authorization_codes set created_at = created_at - interval '30 s',"
            " expires_at = expires_at - interval '30 s',"
            " consumed_at = consumed_at - interval '30 s' where code_hash = $1",
            hashlib.sha256(flow.code.encode()).digest(),
        )
        again = await run.redeem(flow.client, flow.code)
        assert token_error(again) == "invalid_grant"
        deadline = time.monotonic() + PATIENCE
        while (await run.userinfo(flow.tokens["access_token"])).status_code != 401:
            assert time.monotonic() < deadline, "the first redemption's token is still good"
            await asyncio.sleep(0.01)

    async def test_oidcc_ensure_registered_redirect_uri(self, run: Run):
        client = run.provider.basic[0]
        visit = await run.visit(client, redirect_uri=f"{client.redirect_uri}/{uuid4().hex}")
        check_page(run, visit)

    async def test_oidcc_ensure_post_request_succeeds(self, run: Run):
        await run.flow(method="POST")

    async def test_oidcc_server_client_secret_post(self, run: Run):
        for client in run.provider.post:
            await run.flow(client)

    async def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
        self, run: Run
    ):
        document, client = run.provider.document, run.provider.basic[0]
        assert document["request_uri_parameter_supported"] is False
        _, outside = request_object(run, client)
        visit = await run.visit(client, **outside, request_uri="https://app.example.com/r.jwt")
        assert run.error(visit) == "request_uri_not_supported"

    async def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
        self, run: Run
    ):
        document, client = run.provider.document, run.provider.basic[0]
        assert document["request_parameter_supported"] is False
        inside, outside = request_object(run, client)
        visit = await run.visit(client, **outside, request=inside)
        assert run.error(visit) == "request_not_supported"

    async def test_oidcc_claims_essential(self, run: Run):
        wanted = {"userinfo": {"name": {"essential": True}}}
        flow = await run.flow(claims=json.dumps(wanted))
        assert "name" not in flow.claims
        if "name" not in flow.userinfo:
            run.warn("an essential name is not given")

    async def test_oidcc_ensure_request_object_with_redirect_uri(self, run: Run):
        client = run.provider.basic[0]
        inside, outside = request_object(run, client)
        wrong = f"{client.redirect_uri}/{uuid4().hex}"
        visit = await run.visit(client, **outside, request=inside, redirect_uri=wrong)
        check_page(run, visit)

    async def test_oidcc_refresh_token(self, run: Run):
        scopes = "openid offline_access"
        assert "offline_access" in run.provider.document["scopes_supported"]
        assert "refresh_token" in run.provider.document["grant_types_supported"]
        last = ""
        for number, client in enumerate(run.provider.basic):
            flow = await run.flow(client, scope=scopes, prompt="consent")
            narrowed = {"scope": scopes} if number == 0 else {}
            last = await refreshed(run, flow, **narrowed)
        first, second = run.provider.basic
        stolen = await run.token(first, grant_type="refresh_token", refresh_token=last)
        assert token_error(stolen) == "invalid_grant"
        theirs = await run.token(second, grant_type="refresh_token", refresh_token=last)
        run.tokens(theirs)

    async def test_oidcc_ensure_request_with_valid_pkce_succeeds(self, run: Run):
        await run.flow(verifier=VERIFIER)


async def shows(run: Run, *scopes: str) -> None:
    """Ask for scopes; their claims that userinfo leaves out are worth one warning."""
    flow = await run.flow(scope=" ".join(("openid", *scopes)))
    wanted = {name for scope in scopes for name in CLAIMS_OF[scope]}
    assert set(flow.userinfo) - {"sub"} <= wanted
    if missing := wanted - set(flow.userinfo):
        run.warn(f"userinfo has {len(missing)} of {len(wanted)} claims not")


async def refreshed(run: Run, flow: Flow, **fields: str) -> str:
    """Refresh once, compare the ID tokens (section 12.2), and return the last refresh token."""
    token = flow.tokens["refresh_token"]
    answer = await run.token(flow.client, grant_type="refresh_token", refresh_token=token, **fields)
    given = run.tokens(answer)
    assert given["access_token"] != flow.tokens["access_token"]
    assert has_entropy(given["refresh_token"])
    _, claims = run.identity(given["id_token"], flow.client)
    for name in ("iss", "sub", "aud", "auth_time"):
        assert claims[name] == flow.claims[name], name
    assert claims["iat"] >= flow.claims["iat"]
    assert claims.get("nonce", flow.claims["nonce"]) == flow.claims["nonce"]
    run.told_of(await run.userinfo(given["access_token"]), claims["sub"])
    last: str = given["refresh_token"]
    return last
