"""Options of the cost processor."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from untrace_plugins.processors.llm_cost.config import LlmCostConfig


def test_nothing_needs_to_be_said() -> None:
    """Without options, bundled prices count and the canonical attributes are written."""
    config = LlmCostConfig.model_validate({})
    assert (config.bundled, config.reported, config.write) == (True, "fallback", ["genai", "untrace"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"prices": [{"model": "a"}]},
        {"prices": [{"model": "", "input": 1}]},
        {"prices": [{"model": "a", "input": -1}]},
        {"prices": [{"model": "a", "input": float("inf")}]},
        {"prices": [{"model": "a", "input": 1, "steps": [{"above": 0, "input": 1}]}]},
        {"reported": "maybe"},
        {"write": ["phoenix"]},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    """Prices without a price, negative or endless ones, and unknown words are errors of the configuration."""
    with pytest.raises(ValidationError):
        LlmCostConfig.model_validate(wrong)


def test_checking_options_loads_no_catalogue() -> None:
    """A configuration is validated without the library that brings the prices."""
    code = (
        "import sys; from untrace_plugins.processors.llm_cost import FACTORY;"
        "FACTORY.config.model_validate({'prices': [{'model': 'a', 'input': 1}]});"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
