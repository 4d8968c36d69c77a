"""The prices of one processor: options, file and catalogue."""

from __future__ import annotations

from itertools import count

from untrace_pipeline.api import Settings, StartError
from untrace_pipeline.net.secret_file import SecretFile
from untrace_plugins.genai.pricing import Prices
from untrace_plugins.genai.pricing.book import PriceBook
from untrace_plugins.genai.pricing.price_file import read_prices
from untrace_plugins.processors.llm_cost.config import LlmCostConfig

__all__ = ["ConfiguredPrices"]


class ConfiguredPrices:
    """Keeps :class:`Prices` up to date with the file: :meth:`load`, and then now and then :meth:`changed`.

    LiteLLM's list takes a quarter of a second to read: both may run in a thread, as long as :meth:`use` does not.
    """

    def __init__(self, config: LlmCostConfig, settings: Settings) -> None:
        self._path = config.price_file
        self._logger = settings.logger
        # A clock that has always gone far enough: whoever asks decides how often the file is looked at.
        self._file = SecretFile(config.price_file, settings.logger, count().__next__) if config.price_file else None
        self._version = 0
        self._own = PriceBook(config.prices)
        self._prices = Prices(
            (self._own,),
            bundled=config.bundled,
            model_aliases=config.model_aliases,
            provider_aliases=config.provider_aliases,
        )

    @property
    def watched(self) -> bool:
        """Whether there is a file that may change."""
        return self._file is not None

    def load(self) -> None:
        """Read the file and the catalogue. Raises :class:`StartError` for a file that cannot be used."""
        if self._file is not None:
            self._file.open()
            try:
                self.use(self._read(self._file))
            except ValueError as error:
                msg = f"{self._path}: {error}"
                raise StartError(msg) from error
        self._prices.load()

    def changed(self) -> PriceBook | None:
        """Return the prices of a file that has changed, ``None`` if it has not. A broken one is logged, and ignored."""
        if self._file is None:
            return None
        self._file.read()  # looks whether there is a new version, and logs it
        if self._file.version == self._version:
            return None
        try:
            return self._read(self._file)
        except ValueError as error:
            self._logger.warning("%s cannot be used, the old prices stay in force: %s", self._path, error)
            return None

    def use(self, book: PriceBook) -> None:
        """Let prices of the file be those of a book."""
        self._prices.exchange((self._own, book))

    def current(self) -> Prices:
        """Return the prices; a file that nobody has loaded, because the processor runs inside another, is read now."""
        if self._file is not None and not self._version:
            book = self.changed()
            self._version = max(1, self._version)
            if book is not None:
                self.use(book)
        return self._prices

    def _read(self, file: SecretFile) -> PriceBook:
        content = file.read()
        self._version = file.version
        return PriceBook(read_prices(content))
