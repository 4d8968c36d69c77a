"""Embeddings of OpenAI, Cohere and Gemini: texts in, and of the vectors how many there are, and of which size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import parameters
from untrace_plugins.genai.dialects.parameters import response as read_response
from untrace_plugins.genai.media import first
from untrace_plugins.genai.parts import parts
from untrace_plugins.genai.providers.cohere_chat import counts
from untrace_plugins.genai.providers.content import texts_asked
from untrace_plugins.genai.providers.openai import common_request
from untrace_plugins.genai.providers.reader import Json, Reader, dicts, mapping
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.values import dump, texts

__all__ = ["COHERE", "GEMINI", "OPENAI"]

_FLOAT_IN_BASE64: Final = 16 / 3
"""Characters that a vector's number takes in Base64: four bytes."""


def _openai_request(span: Reading, given: Json, content: bool) -> None:
    common_request(span, given)
    if content:
        _put_texts(span, given.get("input"))


def _openai_response(span: Reading, given: Json, _content: bool) -> None:
    read_response(span, given)
    _put_vectors(span, [one.get("embedding") for one in dicts(given.get("data"))])


def _cohere_request(span: Reading, given: Json, content: bool) -> None:
    parameters(span, {**given, "dimensions": given.get("output_dimension")})
    span.put(names.REQUEST_ENCODING_FORMATS, texts(given.get("embedding_types")))
    if content:
        _put_texts(span, given.get("texts"))


def _cohere_response(span: Reading, given: Json, _content: bool) -> None:
    read_response(span, {"id": given.get("id"), "usage": counts(given.get("meta"))})
    by_type = given.get("embeddings")
    vectors = next(iter(by_type.values()), None) if isinstance(by_type, dict) else by_type
    _put_vectors(span, vectors if isinstance(vectors, list) else [])


def _gemini_request(span: Reading, given: Json, content: bool) -> None:
    asked: list[Json] = [*dicts(given.get("requests"))] or [given]
    parameters(span, {"dimensions": first(asked[0], "outputDimensionality", "output_dimensionality")})
    if content:
        contents = [list(parts(mapping(one.get("content")).get("parts"))) for one in asked]
        found = [{"role": "user", "parts": content} for content in contents if content]
        span.put(names.INPUT_MESSAGES, dump(found) if found else None)


def _gemini_response(span: Reading, given: Json, _content: bool) -> None:
    read_response(span, given)
    found = dicts(given.get("embeddings")) or dicts([given.get("embedding")])
    _put_vectors(span, [one.get("values") for one in found])


def _put_texts(span: Reading, given: object) -> None:
    """Set what was embedded, where it is text and no numbers of tokens."""
    found = texts_asked(list(_texts(given)))
    span.put(names.INPUT_MESSAGES, dump(found) if found else None)


def _texts(given: object) -> Iterator[str]:
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, str):
            yield one


def _put_vectors(span: Reading, vectors: list[Any]) -> None:
    if not vectors:
        return
    span.put(names.EMBEDDINGS_COUNT, len(vectors))
    vector = vectors[0]
    if isinstance(vector, list):
        span.put(names.EMBEDDINGS_DIMENSIONS, len(vector))
    elif isinstance(vector, str):
        span.put(names.EMBEDDINGS_DIMENSIONS, int(len(vector.rstrip("=")) / _FLOAT_IN_BASE64))


OPENAI: Final = Reader(names.Operation.EMBEDDINGS, _openai_request, _openai_response)
COHERE: Final = Reader(names.Operation.EMBEDDINGS, _cohere_request, _cohere_response)
GEMINI: Final = Reader(names.Operation.EMBEDDINGS, _gemini_request, _gemini_response)
