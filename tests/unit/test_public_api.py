"""What is public is listed, documented and importable."""

from __future__ import annotations

import importlib
import inspect

import pytest

PUBLIC = ("untrace_pipeline.api", "untrace_pipeline.data", "untrace_pipeline.errors", "untrace_pipeline.testing")


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_complete(name: str) -> None:
    """``__all__`` equals what the module offers without an underscore."""
    module = importlib.import_module(name)
    offered = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and not inspect.ismodule(value)
        and key not in {"annotations", "TYPE_CHECKING", "Sequence"}
    }
    assert set(module.__all__) == offered


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    """Every public class and function has a docstring of its own."""
    module = importlib.import_module(name)
    bare = [
        key
        for key in module.__all__
        if (inspect.isclass(value := getattr(module, key)) or inspect.isfunction(value)) and not value.__doc__
    ]
    assert bare == []
