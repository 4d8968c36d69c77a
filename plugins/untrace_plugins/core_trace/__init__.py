"""The core trace of Untrace's API, one LLM call as JSON, and the span that says the same: both ways.

Shared by what takes it (receivers ``untrace`` and ``webhook``) and what sends it (exporter ``webhook``).
"""
