"""Messages of Prometheus' protocols, for which there are no packages: declared as data, protobuf makes the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

__all__ = ["Messages", "message_classes"]

Messages = Mapping[str, Mapping[str, tuple[int, str]]]
"""Fields by message, as ``(number, type)``; a star repeats. An enum is an integer on the wire."""

_SCALARS = {"double": 1, "int64": 3, "uint64": 4, "int32": 5, "string": 9, "uint32": 13, "sint32": 17, "sint64": 18}
_MESSAGE = 11


def message_classes(file_name: str, package: str, messages: Messages, *, syntax: str) -> Mapping[str, Any]:
    """Return a class for each message."""
    file = descriptor_pb2.FileDescriptorProto(name=file_name, package=package, syntax=syntax)
    file.dependency.append(timestamp_pb2.DESCRIPTOR.name)
    for message, fields in messages.items():
        declared = file.message_type.add(name=message)
        for name, (number, type_) in fields.items():
            _declare(declared.field.add(name=name, number=number), type_, package)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _declare(field: Any, type_: str, package: str) -> None:
    field.label = 3 if type_.startswith("*") else 1
    type_ = type_.removeprefix("*")
    field.type = _SCALARS.get(type_, _MESSAGE)
    if field.type == _MESSAGE:
        field.type_name = ".google.protobuf.Timestamp" if type_ == "Timestamp" else f".{package}.{type_}"
