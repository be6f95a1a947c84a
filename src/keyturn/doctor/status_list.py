"""The first status list as an API fetches it: whether it verifies, and how long it may be kept."""

from collections.abc import Iterable, Mapping
from typing import Any

from keyturn.crypto import jose
from keyturn.crypto.jose import InvalidJws, PublicKey
from keyturn.doctor import answers
from keyturn.doctor.finding import Check, Finding, error
from keyturn.doctor.wire import Answer, Question
from keyturn.status_lists import index

DOCUMENT = error("status_list.document")
KEPT = error("status_list.kept")
CHECKS: tuple[Check, ...] = (DOCUMENT, KEPT)

FIRST = Question(index.uri("", 0))
MEDIA_TYPE = "application/statuslist+jwt"


def status_list(
    issuer: str, answer: Answer, keys: Iterable[Mapping[str, Any]]
) -> tuple[Finding, ...]:
    """Judge the first list, which every server has, against the keys that clients see."""
    try:
        claims = _verified(issuer, answer, keys)
    except (InvalidJws, ValueError) as problem:
        sentence = f"the first status list is answered {answer.status} and is no good: {problem}"
        mend = f"pass {FIRST.path} on to servers of this release, and back unchanged"
        wrong = DOCUMENT.wrong(sentence, f"{mend}; APIs refuse tokens whose status they cannot see")
        return wrong, KEPT.skipped("there is no status list")
    return DOCUMENT.ok("the first status list verifies by the published keys"), _kept(
        answer, claims["ttl"]
    )


def _verified(issuer: str, answer: Answer, keys: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return its claims. Raises `InvalidJws` and `ValueError`, whose text says what is wrong."""
    if answer.one("content-type") != MEDIA_TYPE:
        raise ValueError(f"its type is {answer.one('content-type') or 'missing'}")
    by_name = {str(key.get("kid")): key for key in keys}

    def find(kid: str) -> PublicKey | None:
        return PublicKey.from_jwk(by_name[kid]) if kid in by_name else None

    text = answer.body.decode("ascii", "replace")
    claims = jose.verify(text, jose.STATUS_LIST_JWT, find, jose.MAX_STATUS_LIST)
    for name, wanted in {"iss": issuer, "sub": index.uri(issuer, 0)}.items():
        if claims.get(name) != wanted:
            raise ValueError(f"{name} is {claims.get(name)}")
    if type(claims.get("ttl")) is not int:
        raise ValueError("it has no ttl")
    return claims


def _kept(answer: Answer, ttl: int) -> Finding:
    problem = answers.age_problem(answer, ttl // 2)
    if not problem:
        return KEPT.ok("the status list may be kept for as long as the servers say")
    sentence = f"the status list: {problem}: APIs let in for longer whom everybody signed out"
    mend = "have the proxy respect the origin's Cache-Control, and set none of its own"
    return KEPT.wrong(sentence, mend)
