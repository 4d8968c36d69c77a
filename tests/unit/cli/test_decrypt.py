"""``decrypt``."""

import base64
import io
import json
from pathlib import Path

import pytest

from untrace_pipeline.cli import main
from untrace_plugins.sealing.keys import Keys
from untrace_plugins.sealing.values import Sealer, Tokens

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
CONFIG = """\
receivers: {{otlp: {{protocols: {{grpc: }}}}}}
processors:
  redaction: {{detectors: all, default_action: token, token: {{key: {other}}}}}
  encrypt: {{attributes: [a], key: {key}}}
exporters: {{debug: }}
service: {{pipelines: {{traces: {{receivers: [otlp], processors: [redaction, encrypt], exporters: [debug]}}}}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(key=base64.b64encode(KEY).decode(), other=base64.b64encode(OTHER).decode()))
    return path


@pytest.fixture
def sealed() -> str:
    """A token within what was encrypted."""
    return Sealer(Keys(KEY)).seal(f'mail to "{Tokens(Keys(OTHER)).seal("jane@example.com")}"')


def test_lines_and_documents(config: Path, sealed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON lines, text and whole documents, of several files, are written with everything readable in them."""
    lines, document = tmp_path / "lines.jsonl", tmp_path / "document.json"
    lines.write_text(f'{{"a": "{sealed}"}}\nplain {sealed}\n\n')
    document.write_text(json.dumps({"a": [sealed, 1]}, indent=2))
    assert main(["decrypt", "--config", str(config), str(lines), str(document)]) == 0
    first, second, third, *rest = capsys.readouterr().out.split("\n")
    assert json.loads(first) == {"a": 'mail to "jane@example.com"'}
    assert (second, third) == ('plain mail to "jane@example.com"', "")
    assert json.loads("\n".join(rest)) == {"a": ['mail to "jane@example.com"', 1]}


def test_standard_input(
    config: Path, sealed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without files, what comes in is written; what has another key stays."""
    other = Sealer(Keys(bytes(32))).seal("x")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{sealed} {other}\n"))
    assert main(["decrypt", "--config", str(config)]) == 0
    assert capsys.readouterr() == (f'mail to "jane@example.com" {other}\n', "")


def test_nothing_to_read(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the wrong key is told so, and gets the text as it is."""
    other = Sealer(Keys(bytes(32))).seal("x")
    monkeypatch.setattr("sys.stdin", io.StringIO(other))
    assert main(["decrypt", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert out == other
    assert "nothing there is sealed with a key of this configuration" in err


def test_a_file_that_is_not_there(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, with code 1."""
    assert main(["decrypt", "--config", str(config), str(tmp_path / "absent")]) == 1
    assert "absent: No such file" in capsys.readouterr().err


def test_a_key_that_is_none(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not shown."""
    monkeypatch.setattr("sys.stdin", io.StringIO("x\n"))
    assert main(["decrypt", "--config", str(config), "--set", "processors.encrypt.key=tooshort"]) == 1
    message = capsys.readouterr().err
    assert "encrypt.key is no key" in message
    assert "tooshort" not in message
