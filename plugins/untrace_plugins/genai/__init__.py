"""What components for LLM traces share: attribute names, the dialects of instrumentations, and the forms that go out.

Inside the pipeline an LLM call is a span with the attributes of OTel GenAI v1.41 (``names``). ``normalise`` reads the
dialects of instrumentations into that form, ``emit`` writes it in the form that a destination understands.
"""
