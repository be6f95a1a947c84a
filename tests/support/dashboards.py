"""The committed dashboards, and the queries in them as Grafana would send them."""

from typing import Any

from support.tree import ROOT

PLACES = sorted((ROOT / "config" / "grafana").glob("*.json"))


def queries(board: dict[str, Any], window: str = "1m") -> list[str]:
    """Return every query of a dashboard: of its panels, and of the marks on their time axes."""
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [one["expr"] for one in board["annotations"]["list"]]
    return [sent(one, window) for one in asked]


def sent(query: str, window: str) -> str:
    """Return a query with what is chosen at the top put in: everything."""
    chosen = {"$__rate_interval": window, "$namespace": ".*", "$job": ".*"}
    for name, value in chosen.items():
        query = query.replace(name, value)
    return query
