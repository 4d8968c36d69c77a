"""Options of the operations: edits without OTTL."""

from __future__ import annotations

import enum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Secret
from untrace_pipeline.conditions import ConditionSource
from untrace_pipeline.data import Signal

__all__ = [
    "Algorithm",
    "CopyConfig",
    "DeleteConfig",
    "FunctionConfig",
    "HashConfig",
    "KeepConfig",
    "LookupConfig",
    "MapConfig",
    "OperationConfig",
    "ParseJsonConfig",
    "PerConfig",
    "RenameConfig",
    "SetConfig",
    "TemplateConfig",
    "TruncateConfig",
]


class Algorithm(enum.StrEnum):
    """A hash function."""

    SHA256 = "sha256"
    SHA512 = "sha512"
    SHA1 = "sha1"
    MD5 = "md5"


class SetConfig(ConfigModel):
    """Writes a value."""

    field: str
    """Where to: ``attributes.app.tier``, ``attributes["a"]["b"]``, ``resource.attributes.team``, ``name``, ``body``."""
    value: Any
    """What is written; keeps its YAML type."""


class CopyConfig(ConfigModel):
    """Writes what stands elsewhere; nothing where nothing stands."""

    source: str = Field(alias="from")
    """Field that is read, or a JSONPath: ``$.attributes.*``."""
    to: str
    """Field that is written."""


class RenameConfig(ConfigModel):
    """Writes what stands elsewhere, and removes it there."""

    source: str = Field(alias="from")
    """Field that is read and removed."""
    to: str
    """Field that is written."""


class DeleteConfig(ConfigModel):
    """Removes fields."""

    field: str = ""
    """Field that is removed."""
    pattern: str = ""
    """RE2: attributes whose keys match are removed."""

    @model_validator(mode="after")
    def _one_of_both(self) -> DeleteConfig:
        if bool(self.field) == bool(self.pattern):
            msg = "exactly one of field and pattern is needed"
            raise ValueError(msg)
        return self


class KeepConfig(ConfigModel):
    """Removes all attributes but some."""

    keys: list[str] = Field(min_length=1)
    """Attributes that stay."""
    map: str = "attributes"
    """The map that is meant: ``attributes``, ``resource.attributes``, or one inside of an attribute."""


class TruncateConfig(ConfigModel):
    """Cuts texts, always between characters."""

    limit: int = Field(ge=0)
    """Bytes that stay at most, the marker included."""
    field: str = "attributes"
    """A text, or a map all of whose texts are meant."""
    marker: str = ""
    """Stands at the end of a text that was cut."""

    @model_validator(mode="after")
    def _marker_fits(self) -> TruncateConfig:
        if len(self.marker.encode()) > self.limit:
            msg = "the marker is longer than the limit"
            raise ValueError(msg)
        return self


class HashConfig(ConfigModel):
    """Replaces a value by its hash, in hexadecimal."""

    field: str
    """Field whose value is replaced; numbers, lists and maps are hashed as text."""
    algorithm: Algorithm = Algorithm.SHA256
    """``sha256``, ``sha512``, ``sha1`` or ``md5``."""
    key: Secret | None = None
    """Secret key of an HMAC, so that nobody finds the value by trying: ``${env:HASH_KEY}``."""


class TemplateConfig(ConfigModel):
    """Puts a text together."""

    to: str
    """Field that is written."""
    template: str
    """Text with fields in braces: ``"{resource.attributes.service.name}/{name}"``; ``{{`` and ``}}`` are braces.
    What is absent is empty."""


class ParseJsonConfig(ConfigModel):
    """Reads a text as JSON. Where it is none, the item stays as it is, and that is counted."""

    source: str = Field(alias="from")
    """Field that holds the text."""
    to: str = ""
    """Field that the parsed value is written to; ``from`` itself by default."""
    prefix: str | None = None
    """Instead of ``to``: each entry of the object becomes an attribute, with this in front of its key."""

    @model_validator(mode="after")
    def _one_way_out(self) -> ParseJsonConfig:
        if self.to and self.prefix is not None:
            msg = "either to or prefix, not both"
            raise ValueError(msg)
        return self


class MapConfig(ConfigModel):
    """Takes values out of JSON, or out of the whole item, by JSONPath: a schema mapping."""

    source: str = Field("", alias="from")
    """Field that is looked into, a map, a list, or a text that holds JSON; without it, the whole item."""
    mappings: dict[str, str] = Field(min_length=1)
    """JSONPath to field: ``{"$.user.id": "attributes.user.id"}``. Several matches are written as a list; where nothing
    matches, nothing is written."""


class LookupConfig(ConfigModel):
    """Enriches items from a table in a file, which is read again when it changes."""

    key: str
    """Field whose value is looked up, as text."""
    file: str
    """``.csv`` with a header, or ``.json`` or ``.yaml`` with a list of objects, or an object of objects by key."""
    key_column: str = ""
    """Column that is compared with the key; the first one by default."""
    fields: dict[str, str] = Field(min_length=1)
    """What is written: field to column, ``{"attributes.team.name": "name"}``. Empty cells write nothing."""
    overwrite: bool = True
    """Whether fields that are there already are written."""
    check_interval: Annotated[Duration, Field(gt=0)] = 10.0
    """How often is looked whether the file has changed."""


class PerConfig(enum.StrEnum):
    """What a function is called with."""

    ITEM = "item"
    BATCH = "batch"


def _callable(text: str) -> str:
    where, colon, name = text.rpartition(":")
    if not where or not colon or not name.isidentifier():
        msg = f"{text!r} is no function: write module:function, or /path/to/file.py:function"
        raise ValueError(msg)
    return text


class FunctionConfig(ConfigModel):
    """Calls a Python function, in a process of its own."""

    call: Annotated[str, AfterValidator(_callable)]
    """``module:function`` of an installed package, or ``/path/to/file.py:function``."""
    per: PerConfig = PerConfig.ITEM
    """``item``: called with one item. ``batch``: called with the list of all items of a request."""
    attributes: list[str] | None = None
    """Only these attributes are handed over; by default all. Fewer cost less."""
    timeout: Annotated[Duration, Field(gt=0)] = 1.0
    """Time that it may take for the items of one request. Who takes longer is stopped; the items stay as they are."""
    max_failures: int = Field(5, ge=1)
    """After so many calls in a row that took too long or ended the process, it is not called any more for a while."""
    pause: Annotated[Duration, Field(gt=0)] = 30.0
    """How long it is not called then."""


class OperationConfig(ConfigModel):
    """One operation, by its name, and on which items it works."""

    set: SetConfig | None = None
    """Writes a value."""
    copy_: CopyConfig | None = Field(None, alias="copy")
    """Writes what stands elsewhere."""
    rename: RenameConfig | None = None
    """Moves what stands elsewhere."""
    delete: DeleteConfig | None = None
    """Removes a field, or attributes whose keys match."""
    keep: KeepConfig | None = None
    """Removes all attributes but some."""
    truncate: TruncateConfig | None = None
    """Cuts texts."""
    hash: HashConfig | None = None
    """Replaces a value by its hash."""
    template: TemplateConfig | None = None
    """Puts a text together out of fields."""
    parse_json: ParseJsonConfig | None = None
    """Reads a text as JSON."""
    map: MapConfig | None = None
    """Takes values out of JSON by JSONPath."""
    lookup: LookupConfig | None = None
    """Enriches items from a table in a file."""
    function: FunctionConfig | None = None
    """Calls a Python function."""
    where: ConditionSource | None = None
    """Only items that satisfy this: OTTL (``span.kind == SPAN_KIND_CLIENT``), or a condition of our own form."""
    signals: list[Signal] | None = Field(None, min_length=1)
    """Only these signals; by default all that the pipeline has."""

    @model_validator(mode="after")
    def _one_operation(self) -> OperationConfig:
        names = [option.alias or name for name, option in type(self).model_fields.items()][:-2]
        if sum(getattr(self, name) is not None for name in (*names[:1], "copy_", *names[2:])) != 1:
            msg = f"exactly one of {', '.join(names)} is needed"
            raise ValueError(msg)
        return self

    @property
    def chosen(self) -> ConfigModel:
        """The options of the operation."""
        return next(value for _, value in self if isinstance(value, ConfigModel) and value is not self.where)

    @property
    def name(self) -> str:
        """The name of the operation."""
        return next(name for name, value in self if value is self.chosen).rstrip("_")
