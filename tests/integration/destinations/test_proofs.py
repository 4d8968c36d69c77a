"""Real destinations, and some contracts: the daemon sends, and the destination has it all, once and equal.

`make test-destinations` proves all of them, with a table.
"""

from __future__ import annotations

import pytest

from tests.support.peers import peer_or_skip
from tests.support.proofs.places.catalog import PLACES, REAL
from tests.support.proofs.proof import prove
from tests.support.proofs.traffic import Traffic, traffic

pytestmark = [pytest.mark.peer, pytest.mark.once, pytest.mark.timeout(600), pytest.mark.xdist_group("proofs")]

CONTRACTS = ("helicone", "langfuse", "langsmith_runs", "posthog", "victoria_logs", "victoria_metrics")
"""One of each kind."""


@pytest.fixture(scope="module")
def sent() -> Traffic:
    return traffic()


@pytest.mark.parametrize("destination", [*REAL, *CONTRACTS])
def test_it_has_everything(destination: str, sent: Traffic) -> None:
    """Spans, messages, tokens, cost, sessions and errors are read back, through 429, 503 and 413; the ledger sums."""
    with peer_or_skip():
        row = prove(PLACES[destination](), sent)
    assert row.wrong == []
