"""Options of the exporters of platforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, create_model, model_validator

from untrace_pipeline.api import ConfigModel, Secret, Size
from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import BatchConfig, BatchSizer, QueueConfig
from untrace_pipeline.net.client import Headers
from untrace_pipeline.net.compression import Compression
from untrace_plugins.destinations.model import OTLP, Destination, Encoding, Option, OptionType
from untrace_plugins.destinations.templates import render
from untrace_plugins.exporters.otlp_http.config import OtlpHttpConfig
from untrace_plugins.genai.names import Form

__all__ = ["LongValues", "LongValuesConfig", "PlatformConfig", "config_class"]

AT_ONCE = 16
"""Items that a consumer of the queue takes, where each is a request."""


class LongValues(StrEnum):
    """What happens to values that are longer than the platform takes."""

    TRUNCATE = "truncate"
    MOVE_OUT = "move_out"
    SEND = "send"


class LongValuesConfig(ConfigModel):
    """``long_values``: attributes that are longer than the platform takes."""

    policy: LongValues = LongValues.TRUNCATE
    """``truncate``: cut, with ``…[truncated N]`` at the end, and named in the attribute ``untrace.truncated``;
    ``move_out``: the same, and the whole is kept in ``directory`` or ``storage``, where ``untrace.content.<name>``
    points to; ``send``: as they are, for the platform to judge."""
    limit: Size | None = Field(None, ge=64)
    """Longest value; absent = what the platform takes. In characters where the platform counts those, else bytes."""
    directory: str = ""
    """Where ``move_out`` keeps what was cut. Example: ``/var/lib/untrace/content``."""
    storage: str = ""
    """Id of an extension that keeps it, instead of a directory."""

    @model_validator(mode="after")
    def _has_place(self) -> Self:
        if (self.policy is LongValues.MOVE_OUT) != bool(self.directory or self.storage):
            msg = "a directory or a storage with policy: move_out, and only with it"
            raise ValueError(msg)
        if self.directory and self.storage:
            msg = "either directory or storage, not both"
            raise ValueError(msg)
        return self


class OneByOneQueueConfig(QueueConfig):
    """``sending_queue`` where each item is a request: each consumer takes few, so that a burst is spread over all."""

    batch: BatchConfig | None = BatchConfig(min_size=AT_ONCE, max_size=AT_ONCE, sizer=BatchSizer.ITEMS)
    """Merges what waits in the queue, and cuts it."""


class PlatformConfig(OtlpHttpConfig):
    """What the exporters of all platforms have in common; each adds the options of its file."""

    destination: ClassVar[Destination]
    """The platform's file."""

    form: Form = Form.AS_IS
    """Form of LLM spans (docs/genai-forms.md); ``as_is`` where a processor of the pipeline writes it."""
    sending_queue: QueueConfig = QueueConfig(batch=BatchConfig())
    """Queue between the pipelines and the platform; requests are merged, because platforms count them."""
    long_values: LongValuesConfig = LongValuesConfig()
    """What happens to values that are longer than the platform takes."""
    requests_per_minute: int | None = Field(None, ge=0)
    """How many requests to make at most; ``0`` = no limit; absent = what the platform is known to take, unless
    ``endpoint`` names an installation of your own."""

    @model_validator(mode="after")
    def _has_endpoint(self) -> Self:
        """Check what the platform's file says of the options. Replaces the check of ``otlp_http``."""
        told = self.destination
        given = {name for name in told.options if getattr(self, name)}
        for name, option in told.options.items():
            if option.required and name not in given and not (self.endpoint and told.base_only(name)):
                msg = f"{name}: {option.doc}"
                raise ValueError(msg)
        for group in told.any_of:
            if not given.intersection(group):
                msg = f"one of {', '.join(group)}"
                raise ValueError(msg)
        for group in told.conflicts:
            if len(given.intersection(group)) > 1:
                msg = f"only one of {', '.join(group)}"
                raise ValueError(msg)
        if self.compression not in told.compressions:
            msg = f"compression: {told.title} takes {', '.join(told.compressions)}"
            raise ValueError(msg)
        if self.writes not in OTLP and self.form not in (Form.GENAI, Form.AS_IS):
            msg = "form: genai, which requests are written from; or as_is, where a processor writes that"
            raise ValueError(msg)
        return self

    @property
    def writes(self) -> Encoding:
        """What requests are written in; of ``encoding``, each platform has its own choices."""
        return Encoding(str(self.encoding))

    def values(self) -> dict[str, str]:
        """Return what stands for the places of templates. Holds secrets."""
        told = self.destination
        values = {name: getattr(self, name) for name in told.options}
        values = {name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()}
        values["region"] = region = getattr(self, "region", "")
        base = self.endpoint or render(told.regions[region] if region else told.base, values) or ""
        return {**values, "base": base.removesuffix("/")}

    def secrets(self) -> tuple[str, ...]:
        """Return the values that must not show anywhere."""
        values = (getattr(self, name) for name in self.destination.options)
        return tuple(value.reveal() for value in values if isinstance(value, Secret))

    def url(self, signal: Signal) -> str | None:
        """Return where a signal goes; ``None`` if the platform does not take it."""
        own = str(getattr(self, f"{signal}_endpoint"))
        template = self.destination.urls.get(signal)
        return own or (None if template is None else render(template, self.values()))

    def for_client(self) -> Self:
        """Return the options with all headers; those that the user set win."""
        values, headers = self.values(), dict(self.headers)
        given = {name.lower() for name in headers}
        for name, templates in self.destination.headers.items():
            rendered = (render(template, values) for template in templates)
            text = next((one for one in rendered if one is not None), None)
            if text is not None and name.lower() not in given:
                headers[name] = Secret(text)
        return self.model_copy(update={"headers": headers})

    def addresses(self) -> Iterable[str]:
        """Return the platform's own address, where no option names another."""
        urls = (self.url(signal) for signal in self.destination.urls)
        return () if self.endpoint else [url for url in urls if url is not None]

    def budget(self) -> int | None:
        """Return how many requests to make per minute at most, ``None`` for no limit."""
        known = None if self.endpoint else self.destination.rate.requests_per_minute
        return (known if self.requests_per_minute is None else self.requests_per_minute) or None

    def references(self) -> Mapping[str, tuple[str, ...]]:
        """Return the extensions that are named."""
        storage = self.long_values.storage
        return {**super().references(), **({"long_values.storage": (storage,)} if storage else {})}


def config_class(destination: Destination) -> type[PlatformConfig]:
    """Return the configuration class of one platform."""
    fields: dict[str, Any] = {name: _field(destination, name, one) for name, one in destination.options.items()}
    fields.update(_adapted(destination))
    name = "".join(part.capitalize() for part in destination.name.split("_"))
    made = create_model(f"{name}Config", __base__=PlatformConfig, __module__=__name__, **fields)
    made.__doc__ = f"Options of the exporter ``{destination.name}``."
    made.destination = destination
    return made


def _field(destination: Destination, name: str, option: Option) -> tuple[Any, Any]:
    required = option.required and not destination.base_only(name)
    kind: Any = Secret if option.type is OptionType.SECRET else str
    if option.choices:
        kind = Literal[tuple(option.choices)]
    elif required:
        kind = Annotated[kind, Field(min_length=1)]
    default: Any = ... if required else kind(option.default) if kind is Secret else option.default
    example = f" Example: ``{option.example}``." if option.example else ""
    return kind, Field(default, description=option.doc + example)


def _adapted(destination: Destination) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the common options that have something of their own here."""
    inherited = PlatformConfig.model_fields
    regions = tuple(destination.regions)
    if regions:
        text = "Where the account is; its address is used unless ``endpoint`` says another."
        extra: dict[str, JsonValue] = {"also_called": ["site"]}
        yield "region", (Literal[regions], Field(regions[0], description=text, json_schema_extra=extra))
        where = "the address of the region"
    else:
        where = f"``{destination.base}``"
    text = f"URL of an installation of your own, which the paths of {destination.title} are added to; absent = {where}."
    yield "endpoint", (str, _described("", text))
    yield "form", (Form, _described(destination.form, inherited["form"].description))
    encodings = tuple(one.value for one in destination.encodings)
    text = f"What requests are written in; {destination.title} reads {', '.join(f'``{one}``' for one in encodings)}."
    yield "encoding", (Literal[encodings], _described(encodings[0], text))
    compressions = ", ".join(f"``{one}``" for one in destination.compressions)
    text = f"How requests are packed; {destination.title} takes {compressions}."
    yield "compression", (Compression, _described(destination.compressions[0], text))
    if destination.limits.request_items == 1:
        text = (
            f"Queue before {destination.title}, which takes one item per request: ``num_consumers`` are sent at once."
        )
        yield "sending_queue", (OneByOneQueueConfig, _described(OneByOneQueueConfig(), text))
    yield "headers", (Headers, _described({}, "Further headers; they win over those of the platform."))


def _described(default: Any, text: str | None) -> Any:
    return Field(default, description=text)
