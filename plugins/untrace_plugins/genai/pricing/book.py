"""The prices that a user brought, ready to be looked up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from untrace_plugins.genai.pricing.entries import PriceEntry
from untrace_plugins.genai.pricing.tariff import FixedSchedule, Found, Schedule

__all__ = ["PriceBook"]


class PriceBook:
    """Finds schedules by provider, model and tier; the more an entry says, the sooner it is taken."""

    def __init__(self, entries: Iterable[PriceEntry]) -> None:
        grouped: dict[tuple[str, str, str], list[PriceEntry]] = {}
        for entry in entries:
            grouped.setdefault((entry.provider.lower(), entry.model.lower(), entry.tier.lower()), []).append(entry)
        self._exact: dict[tuple[str, str, str], Schedule] = {}
        self._patterns: list[tuple[re.Pattern[str], str, Found]] = []
        for (provider, model, tier), same in grouped.items():
            schedule = FixedSchedule([(one.since_unix_nano(), one.tariff()) for one in same])
            self._exact[provider, model, tier] = schedule
            if "*" in model:
                pattern = re.compile(translate(model.replace("[", "[[]").replace("?", "[?]")))
                self._patterns.append((pattern, tier, Found(provider, model, schedule)))

    def find(self, provider: str, model: str, tier: str) -> Found | None:
        """Return the prices of a model; names are in lower case. Entries of the tier come before those without one."""
        for wanted in dict.fromkeys((tier, "")):
            for owner in dict.fromkeys((provider, "")):
                schedule = self._exact.get((owner, model, wanted))
                found = Found(owner, model, schedule) if schedule else self._matching(owner, model, wanted)
                if found is not None:
                    return found
        return None

    def _matching(self, provider: str, model: str, tier: str) -> Found | None:
        for pattern, wanted, found in self._patterns:
            if found.provider == provider and wanted == tier and pattern.match(model):
                return found
        return None
