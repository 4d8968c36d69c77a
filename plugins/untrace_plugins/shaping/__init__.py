"""Values out of JSON: the small language that webhooks are mapped with, on the way in and on the way out.

Knows no component, and runs no code of users: paths, alternatives and text, nothing else.
"""
