"""Files of options that components read."""

from __future__ import annotations

from pathlib import Path

import pytest

from untrace_pipeline.api import ConfigModel, Secret
from untrace_pipeline.config.option_files import read_options
from untrace_pipeline.errors import ConfigError


class Inner(ConfigModel):
    """Options."""

    number: int = 1
    """A number."""
    token: Secret | None = None
    """A secret."""


class Options(ConfigModel):
    """Options."""

    name: str
    """A name."""
    inner: list[Inner] = []
    """More."""


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", "name: '7'\ninner:\n- {number: 2}\n"), ("a.json", '{"name": "7",\n\t"inner": [{"number": 2}]}')],
)
def test_yaml_and_json(tmp_path: Path, name: str, text: str) -> None:
    """Both forms are read, with the types of options: a text may look like a number."""
    (tmp_path / name).write_text(text)
    assert read_options(str(tmp_path / name), Options) == Options(name="7", inner=[Inner(number=2)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "the file is empty"),
        (b"- a", "does not hold a mapping"),
        (b"name: [", ":1:"),
        (b"\xff", "not-utf8"),
        (b"name: a\nname: b", "already in line 1"),
        (b"inner: []", "name is missing"),
        (b"name: a\nnam: b", "did you mean: name"),
        (b"name: a\ninner:\n  - number: many\n    x: 1", ":3:13: inner[0].number"),
    ],
)
def test_problems_have_their_place(tmp_path: Path, text: bytes, words: str) -> None:
    """What is wrong is told as in the configuration, all of it at once."""
    file = tmp_path / "options.yaml"
    file.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        read_options(str(file), Options)
    assert words in f"{caught.value} {[problem.code for problem in caught.value.problems]}"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """The excerpt of a wrong line hides what is secret in it."""
    file = tmp_path / "options.yaml"
    file.write_text("name: a\ninner: [{number: x, token: hunter2}]\n")
    with pytest.raises(ConfigError) as caught:
        read_options(str(file), Options)
    assert "hunter2" not in str(caught.value)
    assert "inner[0].number" in str(caught.value)


@pytest.mark.parametrize("path", ["absent.yaml", ".", "a\0b"])
def test_file_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    """Absent files, folders and impossible paths are problems like any other."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_options(f"{tmp_path}/{path}", Options)
