"""The way out: canonical attributes of one span become the form that a destination reads.

A form replaces what it has a word for, so that no prompt is sent twice, and leaves everything else as it is: nothing is
lost, and what a form cannot hold arrives under its canonical name. Emitting is pure, and never raises for any values
of attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from untrace_pipeline.data import Value
from untrace_plugins.genai.emit.form import Changes, Form, Span
from untrace_plugins.genai.emit.genai import emit_genai

__all__ = ["Changes", "Form", "Span", "emit"]

_EMITTERS: Mapping[Form, Callable[[Span], Changes]] = {
    Form.GENAI: emit_genai,
    Form.AS_IS: lambda _span: {},
}


def emit(
    form: Form, attributes: Mapping[str, Value], start_time_unix_nano: int = 0, end_time_unix_nano: int = 0
) -> dict[str, Value]:
    """Return what to change in a span's attributes, which are in canonical form; ``None`` removes an attribute.

    Times are nanoseconds since the Unix epoch, for the forms that have a place for moments and durations; 0 = unknown.
    """
    return _EMITTERS[form](Span(attributes, start_time_unix_nano, end_time_unix_nano))
