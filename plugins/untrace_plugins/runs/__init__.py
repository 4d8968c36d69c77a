"""Runs that come in parts, for receivers of vendors' own APIs: their begin in one request, their end in another.

Knows no vendor: parts are bytes with a key, and an :class:`~untrace_plugins.runs.held.Assembly` says when they are a
whole and makes spans of it.
"""
