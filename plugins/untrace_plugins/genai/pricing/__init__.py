"""What calls to models cost: a catalogue that is bundled, and prices that a user brings.

Prices are looked up once per provider, model and service tier, compiled to numbers per token, and kept: after that a
call costs a look into a dictionary and a few multiplications. Nothing is ever fetched from a network.
"""

from __future__ import annotations

from untrace_plugins.genai.pricing.prices import Prices, Request
from untrace_plugins.genai.pricing.tariff import Found, Schedule, Tariff, Usage

__all__ = ["Found", "Prices", "Request", "Schedule", "Tariff", "Usage"]
