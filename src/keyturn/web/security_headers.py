"""What every answer of the public port says, whoever wrote it, the HTTP parser included.

The server adds these itself, before any application: an answer to an unreadable request carries
them too, and they cost nothing.
"""

HSTS = "max-age=31536000; includeSubDomains"


def security_headers(issuer: str) -> list[tuple[str, str]]:
    """Return the headers for a server of that issuer: HSTS when it is reached over TLS."""
    headers = [("x-content-type-options", "nosniff")]
    if issuer.startswith("https://"):
        headers.append(("strict-transport-security", HSTS))
    return headers
