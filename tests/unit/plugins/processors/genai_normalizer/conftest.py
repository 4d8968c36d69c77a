"""Fixtures of the tests around here."""

from tests.support.codecs import each_codec

__all__ = ["each_codec"]
