"""Texts that hold JSON, at any depth: which parts of them may be replaced so that it stays JSON."""
