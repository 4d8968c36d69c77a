"""Batch, Context, Signal, Field: bytes outside, columns inside, rows as a view."""

from untrace_pipeline.data.batch import Batch, Item
from untrace_pipeline.data.codec import Codec, Edits, Table
from untrace_pipeline.data.fields import ATTRIBUTES, Field, Level, Value, attribute
from untrace_pipeline.data.search import Found, Place, Searcher
from untrace_pipeline.data.signal import EMPTY_CONTEXT, Context, Signal

__all__ = [
    "ATTRIBUTES",
    "EMPTY_CONTEXT",
    "Batch",
    "Codec",
    "Context",
    "Edits",
    "Field",
    "Found",
    "Item",
    "Level",
    "Place",
    "Searcher",
    "Signal",
    "Table",
    "Value",
    "attribute",
]
