"""Where the issuer publishes its keys (RFC 8414 section 3, OpenID Connect Discovery section 4)."""

from urllib.parse import urlsplit, urlunsplit

from keyturn_verifier.fetch import SUCCESS, Fetch, Response, ask, require_success
from keyturn_verifier.strict_json import parse_object

MOST_BYTES = 262_144


async def discover_jwks_uri(fetch: Fetch, issuer: str) -> str:
    """Return the issuer's `jwks_uri`. Raises `FetchFailed`, `ValueError` for a bad document."""
    for address in addresses(issuer):
        answer = await ask(fetch, address, {"Accept": "application/json"})
        # An issuer that says when to ask is not asked in another way until then.
        if answer.status == SUCCESS or "retry-after" in answer.headers:
            break
    require_success(address, answer)
    return _jwks_uri(answer, issuer)


def addresses(issuer: str) -> tuple[str, str]:
    """Return where metadata may be: RFC 8414's well-known path first, OpenID's second."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    oauth = parts._replace(path=f"/.well-known/oauth-authorization-server{path}")
    openid = parts._replace(path=f"{path}/.well-known/openid-configuration")
    return urlunsplit(oauth), urlunsplit(openid)


def _jwks_uri(answer: Response, issuer: str) -> str:
    if len(answer.body) > MOST_BYTES:
        raise ValueError("metadata: too large")
    metadata = parse_object(answer.body)
    # RFC 8414 section 3.3: else one tenant of a host could speak for another.
    if metadata.get("issuer") != issuer:
        raise ValueError("metadata: of another issuer")
    uri = metadata.get("jwks_uri")
    if not isinstance(uri, str):
        raise ValueError("metadata: no jwks_uri")  # noqa: TRY004 - the document is wrong
    return uri
