"""One file per platform: the entry points of the group ``untrace_pipeline.destinations`` name them."""
