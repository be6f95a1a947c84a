"""Status lists as an API reads them, by nothing but the standard's words."""

import base64
import json
import zlib
from typing import Any


def part(token: str, place: int = 1) -> dict[str, Any]:
    """Return the claims of a JWT that is not checked here (its header: place 0)."""
    segment = token.split(".")[place]
    said: dict[str, Any] = json.loads(unpadded(segment))
    return said


def unpadded(text: str) -> bytes:
    """Decode base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def bitmap(status_list: str) -> bytes:
    """Return the bits of a signed list."""
    said = part(status_list)["status_list"]
    assert said["bits"] == 1
    return zlib.decompress(unpadded(said["lst"]))


def status(status_list: str, access_token: str) -> int:
    """Return what a list says of an access token: 0 valid, 1 invalid (section 7.1)."""
    where = part(access_token)["status"]["status_list"]
    assert part(status_list)["sub"] == where["uri"]
    place, shift = divmod(where["idx"], 8)
    return bitmap(status_list)[place] >> shift & 1
