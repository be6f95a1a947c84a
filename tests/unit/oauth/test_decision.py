"""What happens next to a request for authorization: the whole table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from keyturn.authorization_errors import (
    AccessDenied,
    ConsentRequired,
    LoginRequired,
    UnmetAuthenticationRequirements,
)
from keyturn.authorizations.model import AuthorizationRequest
from keyturn.clients.model import Client
from keyturn.logins.model import Login
from keyturn.oauth.authorize.decision import Step, Visit, decide
from keyturn.tokens.access_token import ACR_PASSWORD, ACR_SESSION

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA, BOB = UUID(int=1), UUID(int=2)
HERE = UUID(int=9)

CLIENT = Client(
    id="c",
    name="C",
    kind="confidential",
    grant_types=frozenset({"authorization_code"}),
    scopes=frozenset({"openid", "orders.read"}),
    audiences=("https://api.example",),
)
FIRST_PARTY = replace(CLIENT, skip_consent=True)
NATIVE = replace(CLIENT, kind="public")
REQUEST = AuthorizationRequest(
    client_id="c",
    redirect_uri="https://app.example/cb",
    response_mode="query",
    scopes=frozenset({"openid"}),
    audiences=("https://api.example",),
)
OPENID = frozenset({"openid"})


def login(age=0, user=ADA):
    proof = NOW - timedelta(seconds=age)
    later = NOW + timedelta(hours=1)
    return Login(HERE, user, proof, ("pwd",), False, later, later, NOW)


def visit(signed_in=None, client=CLIENT, granted=OPENID, **request):
    proven = request.pop("proven", None)
    answer = request.pop("answer", None)
    prompt = frozenset(request.pop("prompt", "").split())
    return Visit(
        request=replace(REQUEST, prompt=prompt, **request),
        client=client,
        login=signed_in,
        granted=granted,
        step_up_max_age=timedelta(seconds=300),
        proven=proven,
        answer=answer,
    )


NOTHING = frozenset()
STEPS = [
    # nobody is signed in
    (visit(), Step.SIGN_IN),
    (visit(prompt="login"), Step.SIGN_IN),
    (visit(prompt="consent"), Step.SIGN_IN),
    (visit(hinted_subject=str(ADA)), Step.SIGN_IN),
    # somebody is, and has agreed before
    (visit(login()), Step.CODE),
    (visit(login(), prompt="none"), Step.CODE),
    (visit(login(), hinted_subject=str(ADA)), Step.CODE),
    (visit(login(), granted=OPENID | {"orders.read"}), Step.CODE),
    # a new proof is wanted
    (visit(login(), prompt="login"), Step.SIGN_IN),
    (visit(login(), prompt="select_account"), Step.SIGN_IN),
    (visit(login(), prompt="login", proven=UUID(int=8)), Step.SIGN_IN),
    (visit(login(), prompt="login", proven=HERE), Step.CODE),
    (visit(login(), prompt="login consent", proven=HERE), Step.CONSENT),
    (visit(login(10), max_age=10), Step.CODE),
    (visit(login(11), max_age=10), Step.SIGN_IN),
    (visit(login(11), max_age=10, proven=HERE), Step.CODE),
    (visit(login(1), max_age=0), Step.SIGN_IN),
    (visit(login(1), max_age=0, proven=HERE), Step.CODE),
    (visit(login(user=BOB), prompt="login", hinted_subject=str(ADA)), Step.SIGN_IN),
    # an acr is wanted
    (visit(login(301), acr_values=(ACR_PASSWORD,)), Step.SIGN_IN),
    (visit(login(300), acr_values=(ACR_PASSWORD,)), Step.CODE),
    (visit(login(301), acr_values=(ACR_PASSWORD,), proven=HERE), Step.CODE),
    (visit(login(301), acr_values=(ACR_PASSWORD,), prompt="none"), Step.CODE),
    (visit(login(301), acr_values=(ACR_SESSION, ACR_PASSWORD)), Step.CODE),
    (visit(login(301), acr_values=("urn:example:gold",)), Step.CODE),
    (visit(login(301), essential_acr=frozenset({ACR_PASSWORD})), Step.SIGN_IN),
    (visit(login(301), essential_acr=frozenset({ACR_PASSWORD, ACR_SESSION})), Step.CODE),
    (visit(login(), essential_acr=frozenset({ACR_PASSWORD, "urn:example:gold"})), Step.CODE),
    # consent is wanted
    (visit(login(), granted=NOTHING), Step.CONSENT),
    (visit(login(), granted=NOTHING, answer="agreed"), Step.CONSENT),
    (visit(login(), granted=OPENID, answer="agreed"), Step.CODE),
    (visit(login(), prompt="consent"), Step.CONSENT),
    (visit(login(), prompt="consent", answer="agreed"), Step.CODE),
    (visit(login(), scopes=OPENID | {"orders.read"}), Step.CONSENT),
    (visit(login(), FIRST_PARTY, NOTHING), Step.CODE),
    (visit(login(), FIRST_PARTY, NOTHING, prompt="consent"), Step.CONSENT),
    (visit(login(), FIRST_PARTY, NOTHING, prompt="none"), Step.CODE),
    (visit(login(), NATIVE), Step.CODE),
    (visit(login(), NATIVE, redirect_uri="http://127.0.0.1:1/cb"), Step.CONSENT),
    (visit(login(), NATIVE, redirect_uri="com.example.app:/cb"), Step.CONSENT),
    (visit(login(), NATIVE, redirect_uri="com.example.app:/cb", answer="agreed"), Step.CODE),
    (visit(login(), CLIENT, redirect_uri="http://127.0.0.1:1/cb"), Step.CODE),
]

REFUSALS = [
    (visit(prompt="none"), LoginRequired),
    (visit(login(11), prompt="none", max_age=10), LoginRequired),
    (visit(login(user=BOB), hinted_subject=str(ADA)), LoginRequired),
    (visit(login(user=BOB), prompt="none", hinted_subject=str(ADA)), LoginRequired),
    (visit(login(user=BOB), prompt="login", proven=HERE, hinted_subject=str(ADA)), LoginRequired),
    (
        visit(login(301), prompt="none", essential_acr=frozenset({ACR_PASSWORD})),
        LoginRequired,
    ),
    (visit(login(), granted=NOTHING, prompt="none"), ConsentRequired),
    (visit(login(), NATIVE, redirect_uri="http://[::1]/cb", prompt="none"), ConsentRequired),
    (visit(login(), answer="denied"), AccessDenied),
    (visit(login(), FIRST_PARTY, answer="denied"), AccessDenied),
    (
        visit(essential_acr=frozenset({"urn:example:gold"})),
        UnmetAuthenticationRequirements,
    ),
    (
        visit(login(), prompt="none", essential_acr=frozenset({"urn:example:gold"})),
        UnmetAuthenticationRequirements,
    ),
]


@pytest.mark.parametrize(("known", "step"), STEPS)
def test_each_visit_has_one_next_step(known, step):
    assert decide(known) is step


@pytest.mark.parametrize(("known", "refusal"), REFUSALS)
def test_some_visits_end_in_a_refusal(known, refusal):
    with pytest.raises(refusal):
        decide(known)
