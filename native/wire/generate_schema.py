"""Write ``src/schema/tables.rs`` out of the descriptors of the installed opentelemetry-proto.

Run it with the Python of the project; ``--check`` only says whether the file is as it would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from untrace_pipeline.data.codecs.upb_schema import ID_SIZES, REQUESTS

TABLES = Path(__file__).parent / "src" / "schema" / "tables.rs"

_HEAD = """\
// Written by native/wire/generate_schema.py: do not edit.
#![allow(missing_docs)]

use super::{EnumType, FieldType, Kind, MessageType};
"""

_SCALARS = {
    FieldDescriptor.TYPE_DOUBLE: "Double",
    FieldDescriptor.TYPE_INT64: "Int64",
    FieldDescriptor.TYPE_UINT64: "Uint64",
    FieldDescriptor.TYPE_INT32: "Int32",
    FieldDescriptor.TYPE_UINT32: "Uint32",
    FieldDescriptor.TYPE_SINT32: "Sint32",
    FieldDescriptor.TYPE_FIXED64: "Fixed64",
    FieldDescriptor.TYPE_SFIXED64: "Sfixed64",
    FieldDescriptor.TYPE_FIXED32: "Fixed32",
    FieldDescriptor.TYPE_BOOL: "Bool",
    FieldDescriptor.TYPE_STRING: "String",
    FieldDescriptor.TYPE_BYTES: "Bytes",
}
_TITLES = {"LogRecord": "log record"}
"""What messages call a kind whose name has more than one word; others are the name in lower case."""


def generate() -> str:
    """Return the text of the tables."""
    messages: dict[str, Descriptor] = {}
    for request in REQUESTS.values():
        _collect(request.DESCRIPTOR, messages)
    enums = {
        field.enum_type.full_name: field.enum_type
        for message in messages.values()
        for field in message.fields
        if field.enum_type
    }
    parts = [_HEAD, *map(_enum, enums.values()), *map(_message, messages.values())]
    return "\n".join(parts)


def _collect(message: Descriptor, found: dict[str, Descriptor]) -> None:
    if message.full_name not in found:
        found[message.full_name] = message
        for field in message.fields:
            if field.message_type:
                _collect(field.message_type, found)


def _constant(descriptor: Descriptor | EnumDescriptor) -> str:
    """Return ``SPAN_EVENT`` for ``opentelemetry.proto.trace.v1.Span.Event``."""
    parts = [part for part in descriptor.full_name.split(".") if part[0].isupper()]
    words = "".join([f"_{char}" if char.isupper() else char for char in "".join(parts)])
    return words.lstrip("_").upper()


def _enum(enum: EnumDescriptor) -> str:
    values = "".join([f'        ("{value.name}", {value.number}),\n' for value in enum.values])
    return (
        f"pub static {_constant(enum)}: EnumType = EnumType {{\n"
        f'    name: "{enum.full_name}",\n    values: &[\n{values}    ],\n}};\n'
    )


def _message(message: Descriptor) -> str:
    name = _constant(message)
    title = _TITLES.get(message.name, message.name.lower())
    fields = "".join([f"    {_field(field)},\n" for field in message.fields])
    return (
        f'pub static {name}: MessageType =\n    MessageType::new("{message.full_name}", "{title}", &{name}_FIELDS);\n\n'
        f"static {name}_FIELDS: [FieldType; {len(message.fields)}] = [\n{fields}];\n"
    )


def _field(field: FieldDescriptor) -> str:
    text = f'FieldType::new({field.number}, "{field.name}", "{field.camelcase_name}", Kind::{_kind(field)})'
    if field.is_repeated:
        text += ".repeated()"
    if field.containing_oneof and len(field.containing_oneof.fields) > 1:
        text += f'.member("{field.containing_oneof.name}")'
    elif field.has_presence and not field.message_type:
        text += ".optional()"
    if field.name in ID_SIZES:
        text += f".id({ID_SIZES[field.name]})"
    return text


def _kind(field: FieldDescriptor) -> str:
    if field.message_type:
        return f"Message(&{_constant(field.message_type)})"
    if field.enum_type:
        return f"Enum(&{_constant(field.enum_type)})"
    return _SCALARS[field.type]


if __name__ == "__main__":
    text = generate()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TABLES.read_text() == text else f"{TABLES} is not what {Path(__file__).name} writes")
    TABLES.write_text(text)
