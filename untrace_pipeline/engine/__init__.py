"""From a checked configuration to running pipelines: graph, links, fan-out, lifecycle, reload, service."""
