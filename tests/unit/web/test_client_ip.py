from ipaddress import ip_network

import pytest

from keyturn.web.client_ip import UNKNOWN, ClientAddress
from support.asgi import request

PROXIES = ClientAddress((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP"])
def test_RL_1_by_default_nobody_is_believed(header):
    assert ClientAddress().of(request((header, "203.0.113.9"), peer="10.0.0.1")) == "10.0.0.1"


def test_RL_1_a_stranger_who_pretends_to_be_a_proxy_is_not_believed():
    assert PROXIES.of(request(("X-Forwarded-For", "203.0.113.9"), peer="192.0.2.7")) == "192.0.2.7"


@pytest.mark.parametrize(
    ("forwarded", "caller"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9, 10.2.3.4", "203.0.113.9"),
        ("10.9.9.9, 1.1.1.1, 203.0.113.9, 10.2.3.4, 10.4.4.4", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("[2001:db8::9]:443, fd00::1", "2001:db8::9"),
        ("2001:DB8:0::9", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        (" , 203.0.113.9 , ", "203.0.113.9"),
    ],
)
def test_RL_1_the_caller_is_the_first_from_the_right_that_is_no_proxy(forwarded, caller):
    assert PROXIES.of(request(("X-Forwarded-For", forwarded), peer="10.0.0.1")) == caller


@pytest.mark.parametrize(
    "forwarded", ["", "unknown", "evil, _hidden", "1.2.3.4.5", "x" * 9000, "'; --"]
)
def test_RL_1_an_unreadable_hop_leaves_the_proxy_itself(forwarded):
    assert PROXIES.of(request(("X-Forwarded-For", forwarded), peer="10.0.0.1")) == "10.0.0.1"


def test_RL_1_several_headers_are_one_list():
    """A caller's own header comes first; the proxy's is appended."""
    headers = (("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.9"))
    assert PROXIES.of(request(*headers, peer="10.0.0.1")) == "203.0.113.9"


def test_a_dual_stack_socket_s_ipv4_peer_is_a_plain_ipv4_address():
    assert ClientAddress().of(request(peer="::ffff:192.0.2.1")) == "192.0.2.1"
    trusted = request(("X-Forwarded-For", "203.0.113.9"), peer="::ffff:10.0.0.1")
    assert PROXIES.of(trusted) == "203.0.113.9"


@pytest.mark.parametrize("peer", [None, "", "/run/socket"])
def test_a_peer_without_an_address_has_one_that_postgresql_takes(peer):
    assert ClientAddress().of(request(peer=peer)) == UNKNOWN
    assert PROXIES.of(request(peer=peer)) == UNKNOWN


def test_only_a_proxy_may_choose_the_request_id():
    assert PROXIES.comes_through_proxy(request(peer="10.0.0.1").scope)
    assert not PROXIES.comes_through_proxy(request(peer="192.0.2.1").scope)
    assert not ClientAddress().comes_through_proxy(request(peer="10.0.0.1").scope)
