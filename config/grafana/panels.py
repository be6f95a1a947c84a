"""What dashboards are made of: plain dictionaries, as Grafana's JSON has them.

A panel says in its description what it tells and links to the runbook for when it looks wrong. The
grid is laid out here, row by row, so that nothing lies upon anything else.
"""

from dataclasses import dataclass, field
from typing import Any

RUNBOOKS = "https://github.com/keyturn/keyturn/blob/main/docs/runbooks.md"
DOCUMENTS = "https://github.com/keyturn/keyturn/blob/main/docs"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SELECTED = 'namespace=~"$namespace", job=~"$job"'
WIDTH = 24
HEIGHT = 8
PER_ROW = 3

Query = tuple[str, str]
"""An expression and its legend."""


def series(name: str, labels: str = "") -> str:
    """Return a selector of one metric in the chosen namespaces and jobs."""
    return f"{name}{{{labels}, {SELECTED}}}" if labels else f"{name}{{{SELECTED}}}"


def rate(name: str, by: str = "", labels: str = "") -> str:
    """Return how fast a counter rises, summed over the replicas, by some labels."""
    grouped = f"sum by ({by}) " if by else "sum "
    return f"{grouped}(rate({series(name, labels)}[$__rate_interval]))"


def quantile(share: float, name: str, by: str = "", labels: str = "") -> str:
    """Return a percentile of a histogram over all replicas; 0 while nothing is counted.

    Of no observations Prometheus makes NaN, which is no answer to somebody who looks.
    """
    grouped = f"{by}, le" if by else "le"
    found = f"histogram_quantile({share}, {rate(f'{name}_bucket', grouped, labels)})"
    return f"({found} >= 0) or 0 * {rate(f'{name}_count', by, labels)}"


def share(part: str, whole: str) -> str:
    """Return a ratio that is 0, and not nothing, while there is nothing."""
    return f"({part} or 0 * {whole}) / clamp_min({whole}, 1e-9)"


@dataclass(frozen=True)
class Panel:
    """One panel; `runbook` names the alert that watches the same."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    runbook: str = ""
    kind: str = "timeseries"
    most: float | None = None
    """The end of the scale, where there is one."""

    def rendered(self, number: int) -> dict[str, Any]:
        """Return it as the `number`th panel of a dashboard."""
        row, column = divmod(number - 1, PER_ROW)
        width = WIDTH // PER_ROW
        scale = {"min": 0} if self.most is None else {"min": 0, "max": self.most}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": column * width, "y": row * HEIGHT, "w": width, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": self.unit, **scale}, "overrides": []},
            "options": self._options(),
            "links": self._links(),
            "targets": [
                {
                    "refId": chr(ord("A") + place),
                    "datasource": SOURCE,
                    "expr": expression,
                    "legendFormat": legend,
                    "exemplar": "_bucket{" in expression,
                    "instant": self.kind != "timeseries",
                    "range": self.kind == "timeseries",
                }
                for place, (expression, legend) in enumerate(self.queries)
            ],
        }

    def _options(self) -> dict[str, Any]:
        if self.kind == "timeseries":
            legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}

    def _links(self) -> list[dict[str, Any]]:
        if not self.runbook:
            return []
        target = f"{RUNBOOKS}#{self.runbook.lower()}"
        return [{"title": "What to do", "url": target, "targetBlank": True}]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard: its file is `name`.json, its address /d/keyturn-`name`."""

    name: str
    title: str
    description: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)

    def rendered(self) -> dict[str, Any]:
        """Return the document that Grafana reads."""
        return {
            "uid": f"keyturn-{self.name}",
            "title": f"keyturn: {self.title}",
            "description": self.description,
            "tags": ["keyturn"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": _variables()},
            "annotations": {"list": [_releases()]},
            "links": _links(),
            "panels": [one.rendered(place) for place, one in enumerate(self.panels, start=1)],
        }


def _variables() -> list[dict[str, Any]]:
    """Return the choices at the top: a data source, then namespaces, then jobs in them."""
    source = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "current": {}, "hide": 0, "refresh": 1, "multi": False, "includeAll": False,
    }  # fmt: skip
    return [
        source,
        _choice("namespace", "Namespace", "label_values(keyturn_build_info, namespace)"),
        _choice("job", "Job", 'label_values(keyturn_build_info{namespace=~"$namespace"}, job)'),
    ]


def _choice(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE,
        "definition": query, "query": {"query": query, "refId": name},
        "current": {"text": "All", "value": "$__all"}, "hide": 0, "refresh": 2, "sort": 1,
        "multi": True, "includeAll": True, "allValue": ".*",
    }  # fmt: skip


def _releases() -> dict[str, Any]:
    """Return the marks of deployments: a release that five minutes ago was not there."""
    running = f"count by (version) ({series('keyturn_build_info')})"
    before = f"count by (version) (keyturn_build_info{{{SELECTED}}} offset 5m)"
    return {
        "name": "Releases", "datasource": SOURCE, "enable": True, "iconColor": "blue",
        "expr": f"{running} unless {before}", "step": "60s",
        "titleFormat": "Release", "textFormat": "{{version}}",
    }  # fmt: skip


def _links() -> list[dict[str, Any]]:
    return [
        {"title": "Dashboards", "type": "dashboards", "tags": ["keyturn"], "asDropdown": True,
         "includeVars": True, "keepTime": True},
        {"title": "Runbooks", "type": "link", "url": RUNBOOKS, "targetBlank": True},
        {"title": "Objectives", "type": "link", "url": f"{DOCUMENTS}/slo.md", "targetBlank": True},
        {"title": "Metrics", "type": "link", "url": f"{DOCUMENTS}/metrics.md",
         "targetBlank": True},
    ]  # fmt: skip
