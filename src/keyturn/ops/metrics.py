"""`GET /metrics`: OpenMetrics with exemplars when asked for, else Prometheus text."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """The metrics of this process, as they stand in memory; `gather` brings in those of others."""

    registry: Collector
    gather: Callable[[], Awaitable[None]] | None = None

    async def get(self, request: Request) -> Response:
        """Answer 200 with every metric in the format the scraper accepts."""
        if self.gather is not None:
            await self.gather()
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        headers = {"Content-Type": media_type, "Cache-Control": "no-store"}
        return Response(encode(self.registry), headers=headers)
