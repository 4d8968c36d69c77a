"""``decrypt``: what processors have encrypted, made readable with the keys of the configuration."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from untrace_pipeline.api.config import ComponentConfig
from untrace_pipeline.config.loader import load
from untrace_pipeline.errors import PluginError, UntraceError

__all__ = ["execute"]


def execute(arguments: argparse.Namespace) -> int:
    """Write every file with what can be read, to standard output."""
    spec = load(arguments.config, arguments.set).spec
    configs = [component.config for component in spec.components.values()]
    found = False
    try:
        for piece in _pieces(arguments.files):
            readable = _unsealed(piece, configs)
            found = found or readable != piece
            sys.stdout.write(readable)
    except ImportError as error:
        raise PluginError(f"{error}: pip install 'untrace-pipeline[crypto]'") from error
    if not found:
        print("untrace-pipeline decrypt: nothing there is sealed with a key of this configuration", file=sys.stderr)
    return 0


def _unsealed(text: str, configs: Iterable[ComponentConfig]) -> str:
    """Return the text with all that can be read; what was sealed may have been sealed again."""
    before = None
    while text != before:
        before = text
        for config in configs:
            text = config.unseal(text)
    return text


def _pieces(files: list[str]) -> Iterator[str]:
    """Yield documents whole, and everything else line by line: each line may be a document."""
    for text in map(_read, files) if files else [sys.stdin.read()]:
        if _is_document(text):
            yield text
        else:
            yield from text.splitlines(keepends=True)


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UntraceError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'it is not text'}") from error


def _is_document(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
