"""One token, in one header."""

import pytest

from keyturn_verifier.credentials import Credentials, InvalidRequest, read


def headers(*values):
    return [(b"host", b"api.example.test"), *((b"authorization", one) for one in values)]


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        (b"Bearer abc.d-e_f", "Bearer"),
        (b"bearer  abc.d-e_f", "Bearer"),
        (b"DPOP abc.d-e_f", "DPoP"),
    ],
)
def test_the_scheme_is_found_however_it_is_written(value, scheme):
    assert read(headers(value)) == Credentials(scheme, "abc.d-e_f")


@pytest.mark.parametrize("values", [(), (b"Basic YTpi",), (b"",), (b"Digest a=b",)])
def test_other_schemes_are_no_token(values):
    assert read(headers(*values)) is None


@pytest.mark.parametrize(
    "values",
    [
        (b"Bearer a", b"Bearer a"),
        (b"Bearer a", b"Basic YTpi"),
        (b"Bearer",),
        (b"Bearer a b",),
        (b"Bearer a,b",),
        (b"Bearer a, Bearer b",),
        (b"Bearer \xff",),
        (b"DPoP a\tb",),
    ],
)
def test_more_or_less_than_one_token_is_refused(values):
    with pytest.raises(InvalidRequest):
        read(headers(*values))


def test_a_token_is_not_in_a_representation():
    assert "abc" not in repr(read(headers(b"Bearer abc")))
