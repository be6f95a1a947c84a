"""The way to the issuer: name, connection, TLS, and what stands on the port without it."""

from datetime import datetime, timedelta

from keyturn.doctor.finding import Check, Finding, error, warning
from keyturn.doctor.wire import Answer, NoAnswer

REACHABLE = error("issuer.reachable")
TLS = error("issuer.tls")
CERTIFICATE = warning("issuer.certificate")
PLAIN = error("issuer.plain")

CHECKS: tuple[Check, ...] = (REACHABLE, TLS, CERTIFICATE, PLAIN)

RENEWAL = timedelta(days=14)
"""A certificate of 90 days is renewed a month before its end: two weeks later, nobody has."""

_MENDS = {
    "certificate": "renew it for this host name, send the whole chain; a private authority: "
    "SSL_CERT_FILE",
    "tls": "let the proxy speak TLS 1.2 or 1.3 on this port, for this host name",
    "connection": "correct the DNS record, the port or the firewall; see that the proxy runs",
    "silence": "see that the proxy runs and reaches a server; let this host through",
    "language": "see what listens there: it does not speak HTTP/1.1",
}
OF_TLS = frozenset({"certificate", "tls"})


def failed(url: str, trouble: NoAnswer) -> list[Finding]:
    """Say why nobody answers at `url`."""
    sentence, mend = f"{url}: {trouble}", _MENDS[trouble.kind]
    if trouble.kind in OF_TLS:
        return [REACHABLE.ok(f"{url} accepts connections"), TLS.wrong(sentence, mend)]
    return [REACHABLE.wrong(sentence, mend), TLS.skipped("nobody answers")]


def answered(url: str, answer: Answer, now: datetime) -> list[Finding]:
    """Judge a connection on which an answer came."""
    reached = REACHABLE.ok(f"{url} answers")
    if answer.tls is None:
        why = "asked without TLS"
        return [reached, TLS.skipped(why), CERTIFICATE.skipped(why)]
    left = answer.tls.good_until - now
    told = f"the certificate is good for {left.days} days"
    if left > RENEWAL:
        return [reached, TLS.ok(answer.tls.version), CERTIFICATE.ok(told)]
    mend = "renew it now, and see why nothing has renewed it"
    return [reached, TLS.ok(answer.tls.version), CERTIFICATE.wrong(told, mend)]


def plain(answer: Answer | NoAnswer) -> Finding:
    """Judge what the port for http says when it is asked for the issuer's page."""
    if isinstance(answer, NoAnswer):
        return PLAIN.ok("nobody listens for http without TLS")
    there = answer.one("location")
    if answer.status in range(300, 400) and there.startswith("https://"):
        return PLAIN.ok("http is redirected to https")
    if answer.status in range(400, 500):
        return PLAIN.ok(f"http without TLS is refused ({answer.status})")
    sentence = f"http without TLS is answered ({answer.status}): passwords may travel in clear"
    return PLAIN.wrong(sentence, "have the proxy redirect port 80 to https (301 or 308)")
