"""An example of a plugin package for untrace-pipeline."""
