"""The prices of one processor: options, file and catalogue."""

from __future__ import annotations

from untrace_pipeline.api import Settings, StartError
from untrace_pipeline.net.secret_file import SecretFile
from untrace_plugins.genai.pricing import Prices
from untrace_plugins.genai.pricing.book import PriceBook
from untrace_plugins.genai.pricing.price_file import read_prices
from untrace_plugins.processors.llm_cost.config import LlmCostConfig

__all__ = ["ConfiguredPrices"]


class ConfiguredPrices:
    """Keeps :class:`Prices` up to date with the file."""

    def __init__(self, config: LlmCostConfig, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        self._file = SecretFile(config.price_file, settings.logger) if config.price_file else None
        self._version = 0
        self._own = PriceBook(config.prices)
        self._prices = Prices(
            (self._own,),
            bundled=config.bundled,
            model_aliases=config.model_aliases,
            provider_aliases=config.provider_aliases,
        )

    def load(self) -> None:
        """Read the file and the catalogue now. Raises :class:`StartError` for a file that cannot be used."""
        if self._file is not None:
            self._file.open()
            try:
                self._exchange(self._file.read())
            except ValueError as error:
                msg = f"{self._config.price_file}: {error}"
                raise StartError(msg) from error
        self._prices.load()

    def current(self) -> Prices:
        """Return the prices; looks at the file at most once per second. A broken one leaves the old prices in force."""
        if self._file is not None:
            content = self._file.read()
            if self._file.version != self._version:
                try:
                    self._exchange(content)
                except ValueError as error:
                    self._settings.logger.warning(
                        "%s has no prices that can be used, the old ones stay in force: %s",
                        self._config.price_file,
                        error,
                    )
        return self._prices

    def _exchange(self, content: str) -> None:
        assert self._file is not None
        self._version = self._file.version
        self._prices.exchange((self._own, PriceBook(read_prices(content))))
