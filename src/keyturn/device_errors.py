"""Every way a device, or the person in front of it, is refused (RFC 8628 section 3.5).

As in `errors`: a code and a status of the standard, one constant public sentence, a private
detail. The first two are no failures: they tell a device to ask again.
"""

from keyturn.authorization_errors import AccessDenied
from keyturn.errors import Refusal


class AuthorizationPending(Refusal):
    """The person has not answered yet (RFC 8628 section 3.5)."""

    code = "authorization_pending"
    status = 400
    sentence = "The person has not answered yet. Ask again."


class SlowDown(Refusal):
    """The device asks too often: it waits 5 seconds longer from now on (RFC 8628 section 3.5)."""

    code = "slow_down"
    status = 400
    sentence = "The device asks too often. Wait 5 seconds longer each time from now on."


class ExpiredToken(Refusal):
    """Nobody answered in time, or nobody fetched the answer (RFC 8628 section 3.5)."""

    code = "expired_token"
    status = 400
    sentence = "The device code has expired. Begin again with another one."


class DeviceDenied(AccessDenied):
    """The person said no, and that is final (RFC 8628 section 3.5)."""

    status = 400


class UserCodeUnknown(Refusal):
    """No device waits under what a person typed: wrong, expired, or answered already."""

    code = "user_code_unknown"
    status = 400
    sentence = "No device is waiting under this code."
