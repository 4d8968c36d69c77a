"""Every registered component keeps the contract of its kind."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.component_cases import CASES, REGISTRY, first_party
from untrace_pipeline.registry import Installed
from untrace_pipeline.testing import check_component


@pytest.mark.parametrize("one", list(first_party()), ids=lambda one: f"{one.kind}.{one.type_name}")
def test_component_keeps_its_contract(one: Installed, tmp_path: Path) -> None:
    """Every registered component passes the public conformance suite; one without a case here fails."""
    case = CASES[one.kind, one.type_name]
    with ExitStack() as stack:
        check_component(
            REGISTRY.load(one.kind, one.type_name),
            case.config(tmp_path, stack),
            outputs=case.outputs,
            send=case.send,
            extensions=case.extensions,
        )
