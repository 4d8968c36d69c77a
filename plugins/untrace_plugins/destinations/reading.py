"""From the text of a file to a destination."""

from __future__ import annotations

from functools import lru_cache

import yaml
from pydantic import ValidationError

from untrace_plugins.destinations.model import Destination

__all__ = ["read_destination"]


@lru_cache(maxsize=256)
def read_destination(text: str) -> Destination:
    """Return what a file says; equal texts give the same object. Raises ``ValueError`` with all that is wrong."""
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        msg = f"no YAML: {' '.join(str(error).split())}"
        raise ValueError(msg) from error
    try:
        return Destination.model_validate(given)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise ValueError("; ".join(problems)) from None
