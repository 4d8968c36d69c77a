"""Detectors of personal data and secrets, and the set that runs several of them over a text.

Each is an entry point of ``untrace_pipeline.detectors`` (``untrace_pipeline.api.Detector``). What a text
without findings costs is one pass of Hyperscan over its bytes; see README.md for what is found, and how well.
"""
