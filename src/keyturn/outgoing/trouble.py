"""What becomes of a request of ours that gets no answer."""

from typing import Literal, TypeAlias

Reason: TypeAlias = Literal["blocked", "timeout", "connection", "tls", "protocol"]
"""`blocked`: by our own rules, before anything was sent."""


class OutgoingFailed(Exception):
    """A request came to nothing. Never reaches a caller of ours; the detail is for the log."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
