"""Which addresses may be asked: https, or plain http on this machine."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


def require_safe(url: str) -> SplitResult:
    """Return the parts of an address that may be asked. Raises `ValueError`.

    What comes from it decides whom we let in, so nobody on the way may change it.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError(f"not an address: {url!r}")
    plain_on_loopback = parts.scheme == "http" and _is_loopback(parts.hostname)
    if parts.scheme != "https" and not plain_on_loopback:
        raise ValueError(f"https is required: {url!r}")
    return parts


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port. Raises `ValueError`."""
    parts = require_safe(url)
    port = parts.port if parts.port is not None else {"https": 443, "http": 80}[parts.scheme]
    return parts.scheme, parts.hostname or "", port


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
