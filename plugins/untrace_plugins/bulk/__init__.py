"""What the exporters ``elasticsearch`` and ``opensearch`` share: documents, where they go, and the bulk protocol.

::

    batch ─► rows ─► documents (otel.py, flat.py; where: index.py) ─► bulk requests (encoding.py)
                                                                        │ POST /_bulk (exporter.py, endpoints.py)
              delivered · sent again · dead letters ◄── tally.py ◄──────┘ an answer per document
"""
