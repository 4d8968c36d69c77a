"""Signatures of webhooks: made and checked, as Standard Webhooks says and as well-known senders do it.

Knows no component. Comparing takes the same time whatever is compared, and errors never quote what was sent.
"""
