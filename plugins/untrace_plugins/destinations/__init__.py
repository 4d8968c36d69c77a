"""Destinations as data: one file per platform, what may stand in it, and what it says for given options.

``platforms/`` holds the files; ``docs/decisions/0022-destinations-as-data.md`` says why. Shared by the exporter that
sends by them, and by the documentation.
"""
