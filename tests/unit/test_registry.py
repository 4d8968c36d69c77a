"""The registry finds components by entry point and loads them on demand."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from untrace_pipeline.api import Kind
from untrace_pipeline.errors import PluginError
from untrace_pipeline.registry import Installed, Registry


def installed(name: str, value: str, package: str = "pkg") -> Installed:
    return Installed(Kind.PROCESSOR, name, package, "1", EntryPoint(name, value, Kind.PROCESSOR.group))


def test_listing_imports_nothing() -> None:
    """Names are known without importing, so that a broken plugin cannot break the others."""
    registry = Registry([installed("broken", "no_such_module_:FACTORY")])
    assert registry.names(Kind.PROCESSOR) == ["broken"]


def test_broken_plugin_names_the_package() -> None:
    """A plugin that cannot be imported is named with its package and the cause."""
    registry = Registry([installed("broken", "no_such_module_:FACTORY", "bad-package")])
    with pytest.raises(PluginError, match=r"processor broken of bad-package 1 .*no_such_module_"):
        registry.load(Kind.PROCESSOR, "broken")


def test_something_else_is_no_factory() -> None:
    """An entry point that names no factory of its group's kind is refused."""
    registry = Registry([installed("odd", "json:dumps")])
    with pytest.raises(PluginError, match="no factory of a processor"):
        registry.load(Kind.PROCESSOR, "odd")


def test_two_packages_with_one_type_are_an_error() -> None:
    """The same type from two packages is refused and both are named."""
    registry = Registry([installed("same", "a:F", "one"), installed("same", "b:F", "two")])
    with pytest.raises(PluginError, match="one and two"):
        registry.names(Kind.PROCESSOR)


def test_alias_must_be_declared() -> None:
    """An entry point under another name than the factory's type must be one of its declared aliases."""
    registry = Registry([installed("other_name", "untrace_plugins.processors.batch:FACTORY")])
    with pytest.raises(PluginError, match="does not declare this alias"):
        registry.load(Kind.PROCESSOR, "other_name")


def test_every_alias_is_an_entry_point() -> None:
    """Types and aliases that the first-party factories declare can be written in YAML."""
    registry = Registry()
    for one in registry.installed():
        factory = registry.load(one.kind, one.type_name)
        assert {factory.type_name, *factory.aliases} <= set(registry.names(one.kind))


def test_suggestion() -> None:
    """A misspelt type leads to the installed one."""
    assert Registry().suggest(Kind.PROCESSOR, "memory_limitr") == "memory_limiter"
