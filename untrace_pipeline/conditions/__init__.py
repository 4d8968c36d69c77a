"""The one condition language of routing, filter, samplers and config tests.

Two forms, one object: our own mapping (``{field, operator, value}`` under ``all``, ``any``, ``not``) and the OTTL
conditions of existing Collector configurations both compile to a :class:`Condition`: columns in, mask out. Compiling
says what is wrong and where; asking never fails, whatever the data.
"""

from untrace_pipeline.conditions.condition import Condition, Conditions, compile_condition, group_level
from untrace_pipeline.conditions.config import ConditionConfig, ConditionSource, ErrorMode, Operator, checked
from untrace_pipeline.conditions.core_trace import core_name, locate_core
from untrace_pipeline.conditions.explain import Part, explain_condition
from untrace_pipeline.conditions.expression import Expression
from untrace_pipeline.conditions.form import compile_form
from untrace_pipeline.conditions.properties import MatchProperties, MatchType, selected

__all__ = [
    "Condition",
    "ConditionConfig",
    "ConditionSource",
    "Conditions",
    "ErrorMode",
    "Expression",
    "MatchProperties",
    "MatchType",
    "Operator",
    "Part",
    "checked",
    "compile_condition",
    "compile_form",
    "core_name",
    "explain_condition",
    "group_level",
    "locate_core",
    "selected",
]
