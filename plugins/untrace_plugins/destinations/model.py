"""What may stand in the file of a destination."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from untrace_pipeline.api import ConfigModel, Duration, Size
from untrace_pipeline.data import Signal
from untrace_pipeline.net.compression import Compression
from untrace_plugins.destinations.templates import places
from untrace_plugins.genai.names import Form

__all__ = [
    "OTLP",
    "Advertised",
    "Category",
    "Check",
    "Destination",
    "Edit",
    "Encoding",
    "Limits",
    "Option",
    "OptionType",
    "Probe",
    "Rate",
]

KNOWN = frozenset({"base", "region"})
"""Places of templates that are no options."""

Template = str
"""A text with places: ``{base}``, ``{region}`` or an option; ``base64(…)`` encodes what stands in it."""
Codes = frozenset[Annotated[int, Field(ge=100, le=599)]]


class Category(StrEnum):
    """Shelves of the table of destinations."""

    LLM = "LLM platforms"
    OBSERVABILITY = "observability"


class Encoding(StrEnum):
    """Forms of a request that a destination reads."""

    PROTO = "proto"
    JSON = "json"
    STRICT_JSON = "strict_json"
    """As the server of Untrace checks it: every field is there, integers are numbers, errors have the status 1."""
    HELICONE = "helicone"
    """Helicone's custom log: one request for each call, rebuilt as the provider would have got it."""
    LANGSMITH_RUNS = "langsmith_runs"
    """LangSmith's own API: runs as parts of a form."""
    DATADOG_LLM_OBSERVABILITY = "datadog_llm_observability"
    """Datadog's own API of LLM Observability: span events as JSON."""


OTLP = frozenset({Encoding.PROTO, Encoding.JSON, Encoding.STRICT_JSON})
"""Encodings that say whatever a request says, in whatever form its LLM spans are. The others read the canonical form
(``form: genai``) and write the platform's own."""


class Check(StrEnum):
    """What is looked at before anything is sent."""

    IDS = "ids"
    """Spans whose ids OTLP does not allow are given up: the destination would refuse all that come with them."""
    LLM_ONLY = "llm_only"
    """Only LLM spans are sent: others are left out, and counted as filtered."""
    CALLS_ONLY = "calls_only"
    """Only spans of calls to models are sent, each call once: others are left out, and counted as filtered."""


class OptionType(StrEnum):
    """Types of options."""

    SECRET = "secret"  # noqa: S105  the name of a type
    TEXT = "text"


class Option(ConfigModel):
    """One option that users set."""

    type: OptionType = OptionType.TEXT
    """``secret`` is never shown."""
    doc: str = Field(min_length=1)
    """What it is, and where the platform shows it."""
    required: bool = False
    """Whether nothing works without it. One that only the base URL needs is not asked for beside ``endpoint``."""
    default: str = ""
    """Value where none is given."""
    example: str = ""
    """For the minimal configuration."""
    choices: list[str] = []
    """The only values."""


class Edit(ConfigModel):
    """One attribute that the destination wants: a copy of another one, or a value."""

    to: str = Field(min_length=1)
    """Its name."""
    source: str = Field("", alias="from")
    """Name of the attribute whose value it gets, in the canonical form; nothing happens where that is absent."""
    value: Template = ""
    """Its value, instead; nothing happens where an option in it is empty."""
    words: dict[str, str] = {}
    """Words of the destination for values of ``from``; a value that has none is left out."""
    move: bool = False
    """Whether the attribute ``from`` goes."""
    overwrite: bool = True
    """Whether it replaces what the data says already."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.source) == bool(self.value):
            msg = "either from or value"
            raise ValueError(msg)
        return self


class Limits(ConfigModel):
    """What the destination takes at most; absent = nobody has found a limit."""

    request_bytes: Size | None = Field(None, gt=0)
    """Of a request, before compression."""
    request_items: int | None = Field(None, gt=0)
    """Spans, data points or records of a request."""
    item_bytes: Size | None = Field(None, gt=0)
    """Of one span or record."""
    value_chars: int | None = Field(None, gt=0)
    """Of the value of an attribute, in characters."""
    value_bytes: Size | None = Field(None, gt=0)
    """Of the value of an attribute, in bytes of UTF-8."""
    name_chars: int | None = Field(None, gt=1)
    """Of the name of an attribute."""
    array_items: int | None = Field(None, gt=0)
    """Of an attribute that is a list."""
    age: Duration | None = Field(None, gt=0)
    """Older items are refused."""


class Advertised(ConfigModel):
    """Limits that the destination tells itself: keys of the JSON at an address, joined by dots."""

    url: Template
    """Where; asked with the headers of the destination."""
    request_bytes: str = ""
    """Key of the bytes per request."""
    request_items: str = ""
    """Key of the items per request."""


class Answers(ConfigModel):
    """What statuses of HTTP mean, where OTLP says otherwise."""

    success: Codes = frozenset()
    """Taken, besides 2xx."""
    retry: Codes = frozenset({429, 502, 503, 504})
    """The same request may succeed later."""
    too_large: Codes = frozenset({413})
    """Halves of the request may succeed."""
    meanings: dict[int, str] = {}
    """What else to say about a refusal."""


class Rate(ConfigModel):
    """How often the destination may be asked."""

    requests_per_minute: int | None = Field(None, gt=0)
    """Our budget; more requests wait."""
    headers: bool = False
    """Whether answers tell what is left: ``RateLimit-Remaining``, ``RateLimit-Reset``, or both with ``X-``."""


class Probe(ConfigModel):
    """A question that changes nothing there."""

    url: Template
    """Where."""
    send: str = Field("", pattern="^(|empty|json)$")
    """GET without, ``empty`` = an OTLP request with nothing in it, ``json`` = ``{}``."""
    credentials: bool = True
    """Whether the headers of the destination go along."""
    success: Codes = frozenset({200, 202, 204})
    """Statuses of a good answer."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _is_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        msg = f"a name of small letters, digits and _: not {text!r}"
        raise ValueError(msg)
    return text


Name = Annotated[str, AfterValidator(_is_name)]


class Destination(ConfigModel):
    """One platform: where it is, what it takes, in which form, and what it says to what it does not take."""

    name: Name
    """Type of the exporter, as written in YAML."""
    title: str
    """Name of the platform as it writes it."""
    category: Category
    """``LLM platforms`` or ``observability``."""
    description: str = Field(max_length=100)
    """One line for the list of components."""
    docs: str = Field(pattern="^https?://")
    """Its own page about OTLP."""
    aliases: list[Name] = []
    """Other spellings of the type; each is an entry point of its own."""
    options: dict[Name, Option] = {}
    """What users set, besides what every exporter has."""
    any_of: list[list[str]] = []
    """Of each of these lists of options, one must be set at least."""
    conflicts: list[list[str]] = []
    """Of each of these lists of options, one may be set at most."""
    base: Template = ""
    """Where it is; replaced by the option ``endpoint``."""
    regions: dict[str, Template] = {}
    """Where it is, by region, instead of ``base``; the first is the default."""
    urls: dict[Signal, Template]
    """The whole address of each signal that it takes."""
    headers: dict[str, Annotated[list[Template], BeforeValidator(_as_list)]] = {}
    """Headers of each request: the first of the templates whose options are all set; none if there is no such one."""
    resource: list[Edit] = []
    """Attributes of resources."""
    spans: list[Edit] = []
    """Attributes of LLM spans, beside what the form writes."""
    form: Form = Form.AS_IS
    """Form of LLM spans: docs/genai-forms.md."""
    encodings: list[Encoding] = Field([Encoding.PROTO, Encoding.JSON], min_length=1)
    """What it reads; the first is the default."""
    compressions: list[Compression] = Field([Compression.GZIP, Compression.NONE], min_length=1)
    """What it unpacks; the first is the default."""
    checks: list[Check] = []
    """What is looked at before."""
    limits: Limits = Limits()
    """What it takes at most."""
    advertised: Advertised | None = None
    """Where it says what it takes at most, which wins."""
    answers: Answers = Answers()
    """What its statuses mean."""
    rate: Rate = Rate()
    """How often it may be asked."""
    health: Probe | None = None
    """Is it there?"""
    credentials: Probe | None = None
    """Does it know us?"""
    look: str = ""
    """Where sent data shows."""
    notes: list[str] = []
    """What is surprising about it."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.base) == bool(self.regions):
            msg = "either base or regions"
            raise ValueError(msg)
        known = KNOWN | self.options.keys()
        native = OTLP.isdisjoint(self.encodings)
        if native and (self.form is not Form.GENAI or self.urls.keys() != {Signal.TRACES}):
            msg = f"form: genai and urls of traces alone with encodings: {self.encodings}"
            raise ValueError(msg)
        if not native and not OTLP.issuperset(self.encodings):
            msg = "encodings that are all OTLP, or none: a platform's own API is a destination of its own"
            raise ValueError(msg)
        unknown = {place for text in self._templates() for place in places(text)} - known
        unknown |= {name for group in (*self.any_of, *self.conflicts) for name in group} - known
        if unknown:
            msg = f"no such option: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return self

    def _templates(self) -> Iterator[str]:
        yield from (self.base, *self.regions.values(), *self.urls.values())
        yield from (text for alternatives in self.headers.values() for text in alternatives)
        yield from (edit.value for edit in (*self.resource, *self.spans))
        yield from (one.url for one in (self.health, self.credentials, self.advertised) if one is not None)

    def base_only(self, option: str) -> bool:
        """Return whether nothing but the base URL needs an option."""
        bases = {self.base, *self.regions.values()}
        return not any(option in places(text) for text in self._templates() if text not in bases)
