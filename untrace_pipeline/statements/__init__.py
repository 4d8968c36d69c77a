"""OTTL statements: edits under conditions, compiled once and run on whole columns.

``set(attributes["a"], 1) where name == "x"``: the language of the ``transform`` processor. Conditions and values are
those of ``conditions``; here are the editors, what they can write to, and the order in which rows and statements meet.
"""

from untrace_pipeline.statements.compiler import statement_level
from untrace_pipeline.statements.edit import UNCHANGED, Edit, Step, Trouble, assignment
from untrace_pipeline.statements.sequence import StatementSequence, arrange, compile_sequence
from untrace_pipeline.statements.targets import Target, locate_target

__all__ = [
    "UNCHANGED",
    "Edit",
    "StatementSequence",
    "Step",
    "Target",
    "Trouble",
    "arrange",
    "assignment",
    "compile_sequence",
    "locate_target",
    "statement_level",
]
