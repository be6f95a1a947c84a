"""What goes wrong between a command and a server."""

from keyturn.errors import Unavailable


class ServerAway(Unavailable):
    """No answer from the server, or from its token endpoint, or one that says "later"."""


class ServerRefused(Exception):
    """The server said no; the message is its sentence, and what it found wrong where."""
