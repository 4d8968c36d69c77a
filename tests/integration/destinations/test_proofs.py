"""Each destination, real where it runs here: the daemon sends, and the destination has it all, once and equal."""

from __future__ import annotations

import pytest

from tests.support.peers import PeerUnavailable
from tests.support.proofs.places.catalog import PLACES
from tests.support.proofs.proof import prove
from tests.support.proofs.traffic import Traffic, traffic

pytestmark = [pytest.mark.peer, pytest.mark.once, pytest.mark.timeout(600), pytest.mark.xdist_group("proofs")]


@pytest.fixture(scope="module")
def sent() -> Traffic:
    return traffic()


@pytest.mark.parametrize("destination", PLACES)
def test_it_has_everything(destination: str, sent: Traffic) -> None:
    """Spans, messages, tokens, cost, sessions and errors are read back, through 429, 503 and 413; the ledger sums."""
    try:
        row = prove(PLACES[destination](), sent)
    except PeerUnavailable as reason:
        pytest.skip(str(reason))
    assert row.wrong == []
