"""Options of the batch processor."""

from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.batch import FACTORY
from untrace_plugins.processors.batch.config import BatchConfig


def test_defaults_are_the_collectors() -> None:
    """Options that the Collector has keep its defaults."""
    config = BatchConfig()
    assert (config.timeout, config.send_batch_size, config.send_batch_max_size) == (0.2, 8192, 0)
    assert (config.metadata_keys, config.metadata_cardinality_limit) == ([], 1000)
    assert FACTORY.type_name == "batch"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"send_batch_max_size": 1000}, "must be greater or equal to send_batch_size"),
        ({"metadata_keys": ["a", "A"]}, 'duplicate entry in metadata_keys: "a"'),
        ({"timeout": "-1s"}, "greater than or equal to 0"),
        ({"send_batch_size": -1}, "greater than or equal to 0"),
        ({"max_in_flight": 0}, "greater than or equal to 1"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    """What the Collector refuses is refused here, in its words."""
    with pytest.raises(ValidationError, match=message):
        BatchConfig(**options)
