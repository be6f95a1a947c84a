"""The management port: for orchestrators and Prometheus, never for users, never on an Ingress.

    GET /health/live          the event loop answers
    GET /health/started       settings, schema and keys are loaded
    GET /health/ready         started, not draining, the loop keeps up, a key can sign
    GET /health/dependencies  what the last probe of PostgreSQL and Redis found
    GET /metrics              every metric, OpenMetrics with exemplars or Prometheus text

No answer here waits for a dependency: a probe in the background asks, these doors read what it
found. Ready does not mean that the database is up: without it JWKS and metadata still serve.
"""
