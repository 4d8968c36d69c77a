"""Calls of LLM APIs as a proxy saw them, and the spans that they make: one call, one span in the canonical form.

Bodies are read tolerantly: by no schema, whatever was cut, and nothing that is wrong in them raises.
"""
