"""Serving OTLP, for every receiver that has a path for it: checking requests, handing them on, answering."""
