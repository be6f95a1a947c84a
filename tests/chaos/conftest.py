import pytest

from chaos.past import Past


@pytest.fixture
def past():
    return Past().signed_in().refreshed(2, 0, 1).refreshed(13, 1, 2)
