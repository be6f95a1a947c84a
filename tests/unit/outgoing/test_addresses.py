"""What is public and what is somebody's inside, in every form an address is written in."""

from ipaddress import ip_address

import pytest

from keyturn.outgoing.addresses import is_public, literal

INSIDE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
]
INSIDE_V6 = [
    "::",
    "::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
    "64:ff9b:1::808:808",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::200e"]


def carried(v4):
    """An IPv4 address in each IPv6 form that some network would translate back."""
    whole = int(ip_address(v4))
    high, low = f"{whole >> 16:x}", f"{whole & 0xFFFF:x}"
    return [
        f"::ffff:{v4}",
        f"::ffff:0:{high}:{low}",
        f"::{v4}",
        f"64:ff9b::{v4}",
        f"2002:{high}:{low}::1",
    ]


@pytest.mark.parametrize("text", [*INSIDE, *INSIDE_V6])
def test_SS_1_an_inside_address_is_not_public(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", INSIDE)
def test_SS_1_nor_is_it_in_any_form_of_ipv6_that_carries_it(text):
    assert [form for form in carried(text) if is_public(ip_address(form))] == []


@pytest.mark.parametrize("text", OUTSIDE)
def test_an_address_of_the_internet_is_public(text):
    assert is_public(ip_address(text))


def test_a_public_address_is_public_behind_a_translator():
    assert [form for form in carried("8.8.8.8") if not is_public(ip_address(form))] == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f000001", "0x7f.1", "2130706433", "017700000001", "0177.0.0.1"],
)
def test_every_spelling_of_an_ipv4_address_is_read_as_resolvers_read_it(host):
    assert str(literal(host)) == "127.0.0.1"


def test_a_name_is_no_address():
    assert literal("app.example") is None
    assert literal("1.example") is None
