"""What runs in the process of a custom function: a script of its own, which imports nothing but the function.

Frames on standard input and output: eight bytes of length, then a pickle. In: ``(per_batch, items)``. Out: first
``None`` or the text of why the function cannot be had; then for each frame ``(changes, errors)``, where ``changes`` has
``None`` or ``(fields, attributes, removed keys)`` per item, and ``errors`` the types and lines of what was raised.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import pickle
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")
_ATTRIBUTES = "attributes"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(call: str) -> None:
    """Serve until standard input ends."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the function prints goes to the log, not among the answers
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    try:
        function = _load(call)
    except BaseException as error:  # noqa: BLE001  whatever an import does is told to whoever configured it
        _send(answers, f"{type(error).__name__}: {error}")
        return
    _send(answers, None)
    while (head := requests.read(LENGTH.size)) != b"":
        raw = requests.read(LENGTH.unpack(head)[0])
        _send(answers, _answer(function, raw))


def _load(call: str) -> Callable[[Any], Any]:
    where, _, name = call.rpartition(":")
    if where.endswith(".py"):
        spec = importlib.util.spec_from_file_location("untrace_function", where)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    function = getattr(module, name)
    if not callable(function):
        msg = f"{name} cannot be called"
        raise TypeError(msg)
    return function  # type: ignore[no-any-return]


def _send(answers: BinaryIO, content: object) -> None:
    raw = pickle.dumps(content, protocol=5)
    answers.write(LENGTH.pack(len(raw)) + raw)
    answers.flush()


def _answer(function: Callable[[Any], Any], raw: bytes) -> tuple[list[Any], list[str]]:
    per_batch, items = pickle.loads(raw)  # noqa: S301  from the daemon itself
    _, before = pickle.loads(raw)  # noqa: S301  a second copy, to see what has changed, however deep
    errors: list[str] = []
    if per_batch:
        after = _called(function, items, errors)
        if not isinstance(after, list) or len(after) != len(items):
            errors += [] if errors else ["the function returned no list of the same length"]
            after = before
    else:
        after = [_called(function, item, errors) for item in items]
    return [_changes(old, new, errors) for old, new in zip(before, after, strict=True)], errors


def _called(function: Callable[[Any], Any], argument: Any, errors: list[str]) -> Any:
    """Return what the function gives, the argument itself if it gives nothing, and nothing if it raises."""
    try:
        returned = function(argument)
    except Exception as error:  # noqa: BLE001  it is somebody else's
        frame = traceback.extract_tb(error.__traceback__)[-1]
        errors.append(f"{type(error).__name__} in {os.path.basename(frame.filename)}, line {frame.lineno}")
        return None
    return argument if returned is None else returned


def _changes(
    old: Mapping[str, Any], new: Any, errors: list[str]
) -> tuple[dict[str, Any], dict[str, Any], list[str]] | None:
    if new is None:
        return None
    attributes = new.get(_ATTRIBUTES) if isinstance(new, Mapping) else None
    if not isinstance(attributes, Mapping):
        errors.append("the function returned no item with attributes")
        return None
    known = old[_ATTRIBUTES]
    fields = {key: new[key] for key in old if key != _ATTRIBUTES and key in new and not _same(old[key], new[key])}
    put = {key: value for key, value in attributes.items() if key not in known or not _same(known[key], value)}
    gone = [key for key in known if key not in attributes]
    return (fields, put, gone) if fields or put or gone else None


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    return bool(a == b)


if __name__ == "__main__":
    main(sys.argv[1])
