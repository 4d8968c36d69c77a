"""Which parts are native, and why: what is installed, what is wished, and who wishes it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from untrace_pipeline import native
from untrace_pipeline.config.model import RuntimeConfig
from untrace_pipeline.errors import PluginError
from untrace_pipeline.native import Choice, Part

ROOT = Path(__file__).resolve().parents[2]
MODULE = "untrace_pipeline_native"
INSTALLED = f"{native.DISTRIBUTION} {native.API}.7 is installed"

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Begin as a new process; the returned function installs an extension, or (``None``) makes it unimportable."""
    for part in Part:
        monkeypatch.delenv(part.variable, raising=False)
    monkeypatch.setattr(native, "_made", {})
    monkeypatch.setattr(native, "_configured", {})
    monkeypatch.setattr(native, "_extension", native._extension.__wrapped__)
    monkeypatch.setitem(sys.modules, MODULE, None)

    def put(version: str | None = f"{native.API}.7", without: tuple[str, ...] = ()) -> None:
        module = ModuleType(MODULE)
        module.__dict__.update({name: object() for part in Part for name in part.names if name not in without})
        if version is not None:
            module.__dict__["__version__"] = version
        monkeypatch.setitem(sys.modules, MODULE, module)

    return put


def test_native_where_it_is_installed(install: Install) -> None:
    """``auto`` is the default and takes the native parts."""
    install()
    assert native.choices() == dict.fromkeys(Part, Choice("native", INSTALLED))
    assert native.codec().is_native
    assert native.summary() == f"codec native, ingress native, egress native ({INSTALLED})"


def test_python_where_it_is_not(install: Install) -> None:
    """Without the distribution everything is there, in Python, and the reason says so."""
    reason = f"{native.DISTRIBUTION} is not installed"
    assert native.choices() == {
        Part.CODEC: Choice("upb", reason),
        Part.INGRESS: Choice("python", reason),
        Part.EGRESS: Choice("python", reason),
    }
    assert not native.codec().is_native


@pytest.mark.parametrize("version", ["0.0.9", "1.0.0", "0.10.0", None])
def test_another_version_is_not_used(version: str | None, install: Install) -> None:
    """A distribution made for another daemon is left alone, and both versions are named."""
    install(version)
    shown = version or "unknown"
    reason = f"{native.DISTRIBUTION} {shown} is installed, and this daemon takes {native.API}"
    assert native.codec() == Choice("upb", reason)


def test_an_extension_that_cannot_be_loaded_is_not_used(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A library made for another platform, for example: the daemon works without it and says what is wrong."""
    (tmp_path / f"{MODULE}.py").write_text("raise OSError('wrong ELF class')")
    monkeypatch.delitem(sys.modules, MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert native.egress() == Choice("python", f"{native.DISTRIBUTION} cannot be imported: OSError: wrong ELF class")


def test_a_part_that_the_extension_lacks_is_python(install: Install) -> None:
    """Each part is chosen on its own."""
    install(without=Part.EGRESS.names)
    assert native.egress() == Choice("python", f"{INSTALLED}, but without {', '.join(Part.EGRESS.names)}")
    assert native.ingress().is_native


@pytest.mark.parametrize("part", Part)
@pytest.mark.parametrize("source", ["variable", "option"])
def test_a_wish_is_followed(part: Part, source: str, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variable and configuration force Python's implementation, for this part only, and the reason names them."""
    install()
    if source == "variable":
        monkeypatch.setenv(part.variable, part.python)
    else:
        assert native.configure({part: part.python}) == []
    made = native.choices()
    assert made.pop(part) == Choice(part.python, f"{getattr(part, source)} says so")
    assert all(other.is_native for other in made.values())


@pytest.mark.parametrize("part", Part)
def test_a_forced_part_that_is_missing_is_an_error(
    part: Part, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wants it, what is wrong, and what mends it."""
    native.configure({part: "native"})
    wanted = f"service.runtime.{part} asks for the native {part}, but {native.DISTRIBUTION} is not installed: pip "
    with pytest.raises(PluginError, match=f"^{re.escape(wanted)}"):
        native.choices()
    monkeypatch.setenv(part.variable, part.python)  # the variable wins
    assert native.choices()[part].name == part.python


def test_a_wrong_variable_is_an_error(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that means nothing is refused with those that do; an empty variable counts as none."""
    monkeypatch.setenv("UNTRACE_PIPELINE_CODEC", "rust")
    with pytest.raises(PluginError, match=r"^UNTRACE_PIPELINE_CODEC=rust: expected auto, native, upb$"):
        native.codec()
    monkeypatch.setenv("UNTRACE_PIPELINE_INGRESS", "")
    assert native.ingress().name == "python"


def test_a_choice_stays(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later wishes change nothing in a running process; those that would make a difference are reported."""
    install()
    assert native.codec().is_native
    assert native.configure({Part.CODEC: "upb", Part.EGRESS: "python"}) == [Part.CODEC]
    assert native.codec().is_native
    assert native.egress().name == "python"
    assert native.configure({Part.CODEC: "native", Part.EGRESS: "auto"}) == [Part.EGRESS]
    monkeypatch.setenv(Part.EGRESS.variable, "python")
    assert native.configure({}) == []
    monkeypatch.setitem(sys.modules, MODULE, None)
    assert native.configure({Part.CODEC: "auto"}) == [Part.CODEC]


def test_the_words_of_the_configuration_are_those_of_the_variables() -> None:
    """``service.runtime`` has one option per part, with the same values."""
    assert list(RuntimeConfig.model_fields) == [part.value for part in Part]
    for part in Part:
        annotation = RuntimeConfig.model_fields[part.value].annotation
        assert annotation is not None
        assert annotation.__args__ == ("auto", "native", part.python)


def test_versions_belong_together() -> None:
    """The extra, the crate and the daemon agree about the version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    crate = tomllib.loads((ROOT / "native/Cargo.toml").read_text())["workspace"]["package"]
    major, minor = map(int, native.API.split("."))
    [wanted] = project["optional-dependencies"]["native"]
    assert wanted == f"{native.DISTRIBUTION}>={native.API},<{major}.{minor + 1}"
    assert crate["version"].startswith(f"{native.API}.")


@pytest.mark.parametrize("module", ["untrace_pipeline.cli", "untrace_pipeline.api", "untrace_pipeline.data"])
def test_the_extension_is_imported_on_demand(module: str) -> None:
    """Nothing imports it for being imported: commands that need no codec do not wait for it."""
    code = f"import sys, {module}; print('{MODULE}' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
