"""What exporters to services of clouds share: who we are for them, and what their answers mean.

``config``: options of AWS. ``aws``: its credentials and signatures. ``tokens``: bearer tokens. ``wire``: requests with
a proof, and refusals. Nothing but ``aws`` imports the library of a cloud at import time: configurations are validated
without it.
"""
