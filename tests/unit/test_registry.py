"""The registry finds components by entry point and loads them on demand."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from untrace_pipeline.api import Kind
from untrace_pipeline.config.loader import load
from untrace_pipeline.data import Signal
from untrace_pipeline.errors import ConfigError, PluginError
from untrace_pipeline.registry import PRESETS_DIRECTORY_VARIABLE, Installed, Registry


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


PRESET = """
name: acme
title: Acme
category: observability
description: sends traces to Acme
docs: https://acme.example
options: {api_key: {type: secret, required: true, doc: Key of the account.}}
base: https://otlp.acme.example
urls: {traces: "{base}/v1/traces"}
headers: {x-acme-key: "{api_key}"}
"""


def test_a_file_in_the_users_directory_is_a_type(tmp_path: Path) -> None:
    """Data alone makes an exporter; nothing else is needed."""
    (tmp_path / "acme.yaml").write_text(PRESET)
    (tmp_path / "README.md").write_text("not one")
    registry = Registry(presets_directory=tmp_path)
    assert "acme" in registry.names(Kind.EXPORTER)
    factory = registry.load(Kind.EXPORTER, "acme")
    assert (factory.type_name, factory.signals) == ("acme", {Signal.TRACES})
    assert registry.load(Kind.EXPORTER, "langfuse").type_name == "langfuse"


def test_the_environment_names_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For commands that read no configuration."""
    (tmp_path / "acme.yaml").write_text(PRESET)
    monkeypatch.setenv(PRESETS_DIRECTORY_VARIABLE, str(tmp_path))
    assert "acme" in Registry().names(Kind.EXPORTER)


def test_a_users_file_wins_over_the_preset_of_its_name(tmp_path: Path) -> None:
    """So is an address mended that has moved."""
    (tmp_path / "langfuse.yaml").write_text(PRESET.replace("name: acme", "name: langfuse"))
    factory = Registry(presets_directory=tmp_path).load(Kind.EXPORTER, "langfuse")
    assert factory.about.title == "Acme"


def test_a_plugin_package_may_hold_data_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point that names package and file is enough: the package has no code."""
    package = tmp_path / "acme_presets"
    package.mkdir()
    (package / "acme.yaml").write_text(PRESET)
    metadata = tmp_path / "acme_presets-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-presets\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[untrace_pipeline.destinations]\nacme = acme_presets:acme\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry()
    assert registry.load(Kind.EXPORTER, "acme").about.title == "Acme"
    (one,) = [one for one in registry.installed() if one.type_name == "acme"]
    assert (one.package, one.version, one.is_preset) == ("acme-presets", "1.0", True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: [", "no YAML"),
        (PRESET.replace("title: Acme", ""), "title: Field required"),
        (PRESET.replace("{api_key}", "{token}"), "no such option: token"),
        (PRESET + "regions: {eu: https://eu.acme.example}", "either base or regions"),
        (PRESET + "speed: 3", "speed: Extra inputs are not permitted"),
        (PRESET.replace("name: acme", "name: other"), "does not declare this alias"),
    ],
)
def test_mistakes_in_a_file_are_told_with_its_name(tmp_path: Path, text: str, problem: str) -> None:
    """All of them at once; the other types are not disturbed."""
    (tmp_path / "acme.yaml").write_text(text)
    with pytest.raises(PluginError) as raised:
        Registry(presets_directory=tmp_path).load(Kind.EXPORTER, "acme")
    assert problem in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Instead of types that seem to be misspelt."""
    with pytest.raises(PluginError, match="cannot be read"):
        Registry(presets_directory=tmp_path / "missing").names(Kind.EXPORTER)


def test_a_configuration_names_the_directory(tmp_path: Path) -> None:
    """``service.destination_presets_dir`` is known before the exporters are looked at."""
    (tmp_path / "acme.yaml").write_text(PRESET)
    config = f"""
receivers: {{otlp: {{protocols: {{http: }}}}}}
exporters: {{acme: {{api_key: k}}}}
service:
  destination_presets_dir: {tmp_path}
  pipelines: {{traces: {{receivers: [otlp], exporters: [acme]}}}}
"""
    loaded = load([f"yaml:{config}"])
    assert any(str(one) == "acme" for one in loaded.spec.components)
    with pytest.raises(ConfigError, match="destination_presets_dir"):
        load([f"yaml:{config.replace(str(tmp_path), str(tmp_path / 'missing'))}"])
