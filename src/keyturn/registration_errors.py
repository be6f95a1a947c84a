"""Every way a registration is refused (RFC 7591 section 3.2.2).

Each names the members at fault, none of them in the words of the caller: whoever sets a client up
has to know what to change.
"""

from keyturn.errors import Refusal


class RegistrationRefusal(Refusal):
    """What was sent cannot be registered; `members` are those that stand in the way."""

    def __init__(self, detail: str, *members: str) -> None:
        super().__init__(detail)
        self.members = members


class InvalidRedirectUri(RegistrationRefusal):
    """A redirect URI is missing, malformed or not safe (RFC 7591 section 3.2.2)."""

    code = "invalid_redirect_uri"
    status = 400
    sentence = "A redirect URI is missing or not acceptable."


class UnacceptableMetadata(RegistrationRefusal):
    """Another member is malformed, not allowed here, or does not go with the others."""

    code = "invalid_client_metadata"
    status = 400
    sentence = "The description of the client is not acceptable."


class UnapprovedSoftwareStatement(RegistrationRefusal):
    """Nobody's statements about software are believed here (RFC 7591 section 3.2.2)."""

    code = "unapproved_software_statement"
    status = 400
    sentence = "Software statements are not accepted here."


class TooManyClients(Refusal):
    """No more clients may be registered, with this token or at all, until others are deleted."""

    code = "too_many_clients"
    status = 403
    sentence = "No more clients may be registered."
