"""The canonical form on its way out."""

from __future__ import annotations

from untrace_plugins.genai.emit import Form, emit


def test_the_provider_has_its_older_name_too() -> None:
    """Destinations that know only ``gen_ai.system`` find the provider there."""
    assert emit(Form.GENAI, {"gen_ai.provider.name": "openai"}) == {"gen_ai.system": "openai"}


def test_a_span_that_is_no_llm_call_is_left_alone() -> None:
    """Nothing is invented where there is no provider."""
    assert emit(Form.GENAI, {"http.route": "/"}) == {}


def test_as_is_changes_nothing() -> None:
    """What is asked for as it is stays as it is."""
    assert emit(Form.AS_IS, {"gen_ai.provider.name": "openai"}) == {}
