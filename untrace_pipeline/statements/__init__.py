"""OTTL statements: edits under conditions, compiled once and run on whole columns.

``set(attributes["a"], 1) where name == "x"``: the language of the ``transform`` processor. Conditions and values are
those of ``conditions``; here are the editors, what they can write to, and the order in which rows and statements meet.
"""

from untrace_pipeline.statements.compiler import statement_level
from untrace_pipeline.statements.edit import Trouble
from untrace_pipeline.statements.sequence import StatementSequence, compile_sequence

__all__ = ["StatementSequence", "Trouble", "compile_sequence", "statement_level"]
