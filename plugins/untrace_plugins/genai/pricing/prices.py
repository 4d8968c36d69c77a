"""All prices there are: what the user brought first, then the catalogue; answers are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from untrace_plugins.genai.pricing.book import PriceBook
from untrace_plugins.genai.pricing.catalogue import Catalogue
from untrace_plugins.genai.pricing.tariff import Found

__all__ = ["Prices", "Request"]

_KEPT: Final = 10_000
"""Answers that are kept; names of models come from clients, so there must be an end."""


class Request(NamedTuple):
    """What a span says about whom it called; everything but the names of models may be absent."""

    provider: str | None
    response_model: str | None
    request_model: str | None
    tier: str | None
    server: str | None


class Prices:
    """Looks up what a model costs."""

    def __init__(
        self,
        books: Sequence[PriceBook],
        *,
        bundled: bool = True,
        model_aliases: Mapping[str, str] | None = None,
        provider_aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._books = books
        self._bundled = bundled
        self._catalogue: Catalogue | None = None
        self._model_aliases = {name.lower(): model for name, model in (model_aliases or {}).items()}
        self._provider_aliases = {name.lower(): provider for name, provider in (provider_aliases or {}).items()}
        self._answers: dict[Request, Found | None] = {}

    def load(self) -> None:
        """Load the catalogue now rather than at the first call."""
        if self._bundled and self._catalogue is None:
            self._catalogue = Catalogue()

    def exchange(self, books: Sequence[PriceBook]) -> None:
        """Take other prices of the user's, first come first, and forget all answers."""
        self._books = books
        self._answers = {}

    def find(self, request: Request) -> Found | None:
        """Return the prices for a call: of the model that answered, or else of the one that was asked for."""
        try:
            return self._answers[request]
        except KeyError:
            if len(self._answers) >= _KEPT:
                self._answers, self._catalogue = {}, None
            answer = self._answers[request] = self._look_up(request)
            return answer

    def _models(self, request: Request) -> list[str]:
        """Return the names to try: aliases resolved, and without the path that Google and gateways put before them."""
        names = [name for name in (request.response_model, request.request_model) if name]
        models = [self._model_aliases.get(name.lower(), name) for name in names]
        return list(dict.fromkeys([*models, *[model.rpartition("/")[2] for model in models]]))

    def _look_up(self, request: Request) -> Found | None:
        provider = request.provider and self._provider_aliases.get(request.provider.lower(), request.provider)
        models = self._models(request)
        for book in self._books:
            own = (book.find((provider or "").lower(), name.lower(), (request.tier or "").lower()) for name in models)
            found = next((found for found in own if found is not None), None)
            if found is not None:
                return found
        self.load()
        catalogue = self._catalogue
        answers = (catalogue.find(provider, model, request.tier, request.server) for model in models if catalogue)
        return next((found for found in answers if found is not None), None)
