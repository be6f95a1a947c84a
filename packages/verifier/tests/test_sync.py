"""The verifier from threads: what Flask and Django call."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyturn_verifier import InvalidToken, Reason, Unavailable
from keyturn_verifier.clock import SystemClock
from keyturn_verifier.credentials import InvalidRequest
from keyturn_verifier.sync import SyncVerifier
from keyturn_verifier.testing import FakeIssuer

GENEROUS = 60.0


@pytest.fixture
def issuer():
    return FakeIssuer(clock=SystemClock())


@pytest.fixture
def tokens(issuer):
    tokens = SyncVerifier(issuer.issuer, issuer.audience, timeout=GENEROUS, fetch=issuer.fetch)
    yield tokens
    tokens.close()


def test_many_threads_share_one_verifier(issuer, tokens):
    tokens.warmup()
    texts = [issuer.token(subject=f"user-{number}") for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        subjects = [one.subject for one in threads.map(tokens.verify, texts * 5)]
    assert subjects == [f"user-{number}" for number in range(20)] * 5
    assert issuer.fetched.count(issuer.jwks_uri) == 1


def test_a_header_is_read_as_it_came(issuer, tokens):
    assert tokens.authenticate(f"Bearer {issuer.token(subject='ada')}").subject == "ada"
    for missing in (None, "", "Basic YTpi", f"DPoP {issuer.token()}"):
        with pytest.raises(InvalidToken) as refused:
            tokens.authenticate(missing)
        assert refused.value.reason is Reason.MISSING
    with pytest.raises(InvalidRequest):
        tokens.authenticate("Bearer a b")


def test_a_refusal_is_put_into_an_answer(issuer, tokens):
    with pytest.raises(InvalidToken) as refused:
        tokens.verify(issuer.token(lifetime=-61))
    answer = tokens.answer(refused.value)
    assert answer.status == 401
    assert 'error="invalid_token"' in dict(answer.headers)["WWW-Authenticate"]


def test_nobody_waits_longer_than_the_time_out(issuer):
    issuer.hang()
    tokens = SyncVerifier(issuer.issuer, issuer.audience, timeout=0.05, fetch=issuer.fetch)
    with pytest.raises(Unavailable):
        tokens.verify(issuer.token())
    tokens.close()


def test_it_starts_again_after_it_was_closed(issuer, tokens):
    tokens.verify(issuer.token())
    tokens.close()
    assert not [one for one in threading.enumerate() if one.name == "keyturn-verifier"]
    tokens.verify(issuer.token())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_a_thread_of_its_own(issuer, tokens):
    """As under gunicorn with `preload`: the parent's thread does not come along."""
    tokens.verify(issuer.token())
    token = issuer.token(subject="child")
    child = os.fork()
    if child == 0:
        os._exit(0 if tokens.verify(token).subject == "child" else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
