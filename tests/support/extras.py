"""Which extras are installed: `fastapi` brings a part of OpenTelemetry, which is not enough."""

from importlib.util import find_spec


def has(module: str) -> bool:
    """Whether a module is there, whose package may be missing as well."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


OTEL = has("opentelemetry.sdk") and has("opentelemetry.proto")
"""Whether the extra `otel` is installed."""
