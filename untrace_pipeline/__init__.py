"""untrace-pipeline: one daemon and one YAML file between LLM applications and every observability destination."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("untrace-pipeline")
