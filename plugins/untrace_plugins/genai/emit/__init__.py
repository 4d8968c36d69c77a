"""The way out: canonical attributes of one span become the form that a destination reads.

A form replaces what it has a word for, so that no prompt is sent twice, and leaves everything else as it is: nothing is
lost, and what a form cannot hold arrives under its canonical name. ``docs/genai-forms.md`` says what that is. Emitting
is pure, and never raises for any values of attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from untrace_pipeline.data import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.cost import COSTS
from untrace_plugins.genai.emit.genai import emit_genai
from untrace_plugins.genai.emit.genai_legacy import emit_genai_legacy
from untrace_plugins.genai.emit.langfuse import emit_langfuse
from untrace_plugins.genai.emit.openinference import emit_openinference
from untrace_plugins.genai.emit.openllmetry import emit_openllmetry
from untrace_plugins.genai.emit.posthog import emit_posthog
from untrace_plugins.genai.emit.span import Changes, Span
from untrace_plugins.genai.emit.untrace import emit_untrace
from untrace_plugins.genai.names import Form

__all__ = ["COUNTED", "Form", "emit"]

_EMITTERS: Final[Mapping[Form, Callable[[Span], Changes]]] = {
    Form.GENAI: emit_genai,
    Form.GENAI_LEGACY: emit_genai_legacy,
    Form.OPENINFERENCE: emit_openinference,
    Form.OPENLLMETRY: emit_openllmetry,
    Form.LANGFUSE: emit_langfuse,
    Form.POSTHOG: emit_posthog,
    Form.UNTRACE: emit_untrace,
    Form.AS_IS: lambda _span: {},
}
COUNTED: Final = frozenset({*names.USAGE, *COSTS})
"""What platforms add up."""
_CANONICAL: Final = frozenset({Form.GENAI, Form.AS_IS})


def emit(
    form: Form, attributes: Mapping[str, Value], start_time_unix_nano: int = 0, end_time_unix_nano: int = 0
) -> dict[str, Value]:
    """Return what to change in a span's attributes, which are in canonical form; ``None`` removes an attribute.

    Times are nanoseconds since the Unix epoch, for the forms that have a place for moments and durations; 0 = unknown.
    Platforms add up all tokens and costs that they see: on a span whose call another span counts for, there are none,
    but in the canonical form. JSON that is nested too deeply to be written again stays as it is, with the whole span.
    """
    if form in _CANONICAL:
        return _EMITTERS[form](Span(attributes))
    gone: Changes = {}
    if attributes.get(names.DUPLICATE) is True:
        gone = dict.fromkeys(attributes.keys() & COUNTED)
        attributes = {name: value for name, value in attributes.items() if name not in gone}
    try:
        changes = _EMITTERS[form](Span(attributes, start_time_unix_nano, end_time_unix_nano))
    except RecursionError:
        return {}
    if changes and names.DIALECT in attributes:
        changes[names.DIALECT] = None  # it is in that dialect no more, and may be read anew
    return changes | gone
