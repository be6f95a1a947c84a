"""Histories in the making, for tests of who judges them."""

from itertools import count

from chaos.history import Event
from chaos.judge import judge
from chaos.promises import Promises

PROMISES = Promises(grace=10, introspection=2.5, offline=6, forgetting=frozenset({"F4"}))


class Past:
    """A history in the making; every event takes 0.1 s."""

    def __init__(self):
        self.events = []
        self.tokens = count()

    def add(self, at, kind, **said):
        said = {"session": "s1", "app": "app 1", "status": 200, **said}
        self.events.append(Event(**{"at": at, "began": at - 0.1, "kind": kind, **said}))
        return self

    def signed_in(self, at=1.0, **said):
        return self.add(at, "sign_in", given=0, token="t0", **said)

    def refreshed(self, at, generation, given, **said):
        said = {"token": f"t{given}", **said}
        return self.add(at, "refresh", generation=generation, given=given, **said)

    def refused(self, at, generation, **said):
        said = {"status": 400, "error": "invalid_grant", **said}
        return self.add(at, "refresh", generation=generation, **said)

    def replayed(self, at, generation, kind="replay", **said):
        said = {"status": 400, "error": "invalid_grant", "app": "thief", **said}
        return self.add(at, kind, generation=generation, **said)

    def fault(self, began, ended, fault="F1"):
        self.add(began, "fault", fault=fault, error="begins", session="", app="")
        return self.add(ended, "fault", fault=fault, error="ends", session="", app="")

    def row(self, reason="", at=100.0):
        return self.add(at, "row", error=reason)

    @property
    def verdict(self):
        return judge(sorted(self.events, key=lambda one: one.at), PROMISES)

    @property
    def zeros(self):
        return tuple(self.verdict.zeros.values())
