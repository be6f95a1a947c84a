"""Which component of the server a sampled stack belongs to.

A stack is read from its innermost frame outwards, and the first frame that a rule knows decides:
what libc, the interpreter or the standard library do is done for whoever called them. So a frame
that wraps all others (the router around the endpoint) is charged with its own time only.
"""

from collections import Counter
from collections.abc import Iterable

EVENT_LOOP = "event loop"
BACKGROUND = "background jobs"

RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("garbage collector", ("gc_collect_main ",)),
    ("RSA signature", ("SigningKey.sign (",)),
    ("JSON", ("orjson",)),
    ("metrics", ("prometheus_client/", "keyturn/telemetry/metrics", "keyturn/telemetry/instru")),
    ("request log", ("keyturn/telemetry/", "keyturn/web/request_", "structlog/")),
    ("SQL driver", ("asyncpg/", "keyturn/db/")),
    ("Redis client", ("keyturn/cache/", "keyturn/revocation/", "redis/")),
    ("routing", ("starlette/routing.py", "keyturn/routes.py")),
    ("form parsing", ("keyturn/web/forms.py", "keyturn/web/body.py", "urllib/parse.py")),
    ("client authentication", ("keyturn/oauth/client_authentication.py", "keyturn/clients/")),
    ("rotation", ("keyturn/sessions/",)),
    ("access tokens", ("keyturn/tokens/", "keyturn/keys/", "keyturn/status_lists/", "crypto/jose")),
    ("endpoint and grant", ("keyturn/oauth/", "keyturn/session_api/", "keyturn/registrations/")),
    ("HTTP and ASGI", ("uvicorn/", "httptools", "starlette/", "keyturn/web/")),
)
ENTRY = ("asyncio/runners.py", "threading.py")
"""Where everything begins: nothing outside of these says what the work was for."""
JOBS = "keyturn/jobs/"
"""Whatever a job does, it does for nobody's request."""
IDLE = ("epoll_pwait ", "concurrent/futures/thread.py")
"""Waiting: for sockets, or for work in a pool's thread, with nobody's frame further inside."""


def component(frames: Iterable[str]) -> str | None:
    """Return what a stack (outermost frame first) belongs to; None for a thread that waits."""
    stack = list(frames)
    if any(JOBS in frame for frame in stack):
        return BACKGROUND
    for frame in reversed(stack):
        for name, marks in RULES:
            if any(mark in frame for mark in marks):
                return name
        if any(mark in frame for mark in IDLE):
            return None
        if any(mark in frame for mark in ENTRY):
            break
    return EVENT_LOOP


def shares(collapsed: Iterable[str]) -> dict[str, float]:
    """Return each component's share of collapsed stacks (`frame;frame;frame count`)."""
    samples: Counter[str] = Counter()
    for line in collapsed:
        stack, _, count = line.rpartition(" ")
        name = component(stack.split(";"))
        if name is not None:
            samples[name] += int(count)
    return {name: count / samples.total() for name, count in samples.most_common()}
