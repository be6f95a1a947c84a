"""`GET /metrics`: OpenMetrics with exemplars when asked for, else Prometheus text."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """The metrics of this process, as they stand in memory."""

    registry: CollectorRegistry

    async def get(self, request: Request) -> Response:
        """Answer 200 with every metric in the format the scraper accepts."""
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        headers = {"Content-Type": media_type, "Cache-Control": "no-store"}
        return Response(encode(self.registry), headers=headers)
