"""Whether a browser may be sent there: byte for byte, but for the port of a native app.

A comparison that decodes, lower-cases or matches a prefix has, sooner or later, sent somebody's
code to somebody else (RFC 9700 section 4.1). So nothing is normalised: the text is registered,
or it is not.
"""

import re

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?((?:[/?].*)?)")
_HIGHEST_PORT = 65535


def is_registered(presented: str, registered: frozenset[str]) -> bool:
    """Return whether `presented` is one of `registered`.

    A native app listens on whatever port is free (RFC 8252 section 7.3): on the two loopback
    addresses, and nowhere else, any port is as good as the registered one.
    """
    if presented in registered:
        return True
    portless = _without_port(presented)
    return portless is not None and portless in {_without_port(one) for one in registered}


def _without_port(uri: str) -> tuple[str, str] | None:
    match = _LOOPBACK.fullmatch(uri)
    if match is None or int(match[2] or 0) > _HIGHEST_PORT:
        return None
    return match[1], match[3]
