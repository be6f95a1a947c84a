"""Metadata and keys as a client reads them: whose they are, and whether they arrive unchanged."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from keyturn import paths
from keyturn.doctor.finding import Check, Finding, error, warning
from keyturn.doctor.wire import Answer

METADATA = error("metadata.issuer")
ENDPOINTS = error("metadata.endpoints")
BOTH = error("metadata.both")
INTACT = error("metadata.intact")
JWKS = error("jwks.document")
NEXT = warning("jwks.next")
SIGNING = error("jwks.signing")
CURRENT = warning("jwks.current")
REPLICAS = warning("jwks.replicas")

COMPARED: tuple[Check, ...] = (SIGNING, CURRENT)
CHECKS: tuple[Check, ...] = (
    METADATA,
    ENDPOINTS,
    BOTH,
    INTACT,
    JWKS,
    NEXT,
    REPLICAS,
    *COMPARED,
)
OK = 200

REWRITES = "turn off what rewrites bodies in the proxy (sub_filter, minifiers, apps of a CDN)"


def metadata(issuer: str, discovery: Answer, oauth: Answer) -> list[Finding]:
    """Judge the two metadata documents (OpenID Connect Discovery, RFC 8414)."""
    document = _object(discovery)
    if document is None:
        where = f"{issuer}{paths.OPENID_CONFIGURATION}"
        sentence = f"{where} is answered {discovery.status} and is no JSON object"
        mend = "pass every path on to the servers, /.well-known too"
        return [
            METADATA.wrong(sentence, mend),
            *(one.skipped("there is no metadata") for one in (ENDPOINTS, BOTH, INTACT)),
        ]
    return [_issuer(issuer, document), _endpoints(issuer, document), _both(discovery, oauth),
            _intact({"metadata": discovery, "RFC 8414 metadata": oauth})]  # fmt: skip


def jwks(answers: Sequence[Answer]) -> list[Finding]:
    """Judge the keys, asked for on several connections."""
    first = answers[0]
    kids = published(first)
    if not kids:
        sentence = f"the JWKS is answered {first.status} and holds no key with a name"
        return [JWKS.wrong(sentence, f"pass {paths.JWKS} on to the servers, unchanged")]
    keys = {str(key["n"]) for key in keys_of(first) if "n" in key}
    return [
        JWKS.ok(f"the JWKS has {len(kids)} names of {len(keys)} keys"),
        NEXT.ok("a key is published ahead")
        if len(keys) > 1
        else NEXT.wrong(
            "one key alone is published: a rotation would fail at verifiers that cache it",
            "`keyturn keys rotate` adds the next one; behind a cache: see answers.kept",
        ),
        _replicas(answers),
    ]


def against_database(
    kids: Iterable[str], signing: Iterable[str], public: Iterable[str]
) -> list[Finding]:
    """Compare the names that clients see with the database's: the signing key's, and all."""
    seen, missing = set(kids), set(signing) - set(kids)
    if missing:
        return [
            SIGNING.wrong(
                "the JWKS that clients see lacks the signing key: they refuse every new token",
                "empty the cache before it; see that the URL leads to servers of this database",
            ),
            CURRENT.skipped("the signing key is missing already"),
        ]
    same = SIGNING.ok("the JWKS that clients see has the signing key")
    if seen == set(public):
        return [same, CURRENT.ok("and is what the database publishes")]
    sentence = "the JWKS that clients see is not what the database publishes now"
    mend = "look again in keys.jwks_max_age seconds: caches; if it stays, empty them"
    return [same, CURRENT.wrong(sentence, mend)]


def published(answer: Answer) -> list[str]:
    """Return the names of the keys in a JWKS."""
    return [str(key["kid"]) for key in keys_of(answer) if "kid" in key]


def _issuer(issuer: str, document: Mapping[str, Any]) -> Finding:
    said = str(document.get("issuer"))
    if said == issuer:
        return METADATA.ok(f"the metadata names the issuer {issuer}")
    sentence = f"the metadata names the issuer {said}, not {issuer}: clients refuse it"
    mend = f"set `issuer: {issuer}`, or ask this server by its own name: --url {said}"
    return METADATA.wrong(sentence, mend)


def _endpoints(issuer: str, document: Mapping[str, Any]) -> Finding:
    urls = {
        name: str(url) for name, url in document.items() if name.endswith(("_endpoint", "_uri"))
    }
    astray = [name for name, url in urls.items() if not url.startswith(f"{issuer}/")]
    if urls and not astray:
        return ENDPOINTS.ok(f"all {len(urls)} endpoints are below the issuer")
    sentence = f"endpoints that are not below the issuer: {', '.join(astray) or 'there are none'}"
    return ENDPOINTS.wrong(sentence, f"set `issuer` to {issuer}; {REWRITES}")


def _both(discovery: Answer, oauth: Answer) -> Finding:
    if oauth.status == OK and discovery.body == oauth.body:
        return BOTH.ok("both metadata documents are the same")
    sentence = f"{paths.OAUTH_METADATA} is answered {oauth.status}, and not with the same document"
    return BOTH.wrong(sentence, f"pass it on to the servers as {paths.OPENID_CONFIGURATION} is")


def _intact(answers: Mapping[str, Answer]) -> Finding:
    changed = [name for name, one in answers.items() if not _is_intact(one)]
    if not changed:
        return INTACT.ok("the metadata arrives as it was sent")
    return INTACT.wrong(f"changed on the way, or without ETag: {', '.join(changed)}", REWRITES)


def _is_intact(answer: Answer) -> bool:
    """Whether the entity tag, which servers make of the body, is that of this body."""
    digest = hashlib.sha256(answer.body).hexdigest()[:32]
    return answer.one("etag").removeprefix("W/").strip('"') == digest


def _replicas(answers: Sequence[Answer]) -> Finding:
    different = len({answer.body for answer in answers})
    if different == 1:
        return REPLICAS.ok(f"{len(answers)} connections were given the same keys")
    sentence = f"{len(answers)} connections were given {different} different sets of keys"
    mend = "look again in a minute (a rotation); if it stays: one database for all replicas"
    return REPLICAS.wrong(sentence, mend)


def keys_of(answer: Answer) -> list[Mapping[str, Any]]:
    """Return the keys of a JWKS; of what is none, none."""
    keys = (_object(answer) or {}).get("keys")
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


def _object(answer: Answer) -> Mapping[str, Any] | None:
    try:
        document = orjson.loads(answer.body) if answer.status == OK else None
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
