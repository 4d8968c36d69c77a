"""The prices of one processor: options, file and catalogue."""

from __future__ import annotations

from untrace_pipeline.api import Settings, StartError, WatchedFile
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
        self._file = WatchedFile(config.price_file) if config.price_file else None
        self._read = False
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
            try:
                self.use(_book(self._file.read()))
            except OSError as error:
                msg = f"cannot read {self._path}: {error.strerror}"
                raise StartError(msg) from error
            except ValueError as error:
                msg = f"{self._path}: {error}"
                raise StartError(msg) from error
        self._prices.load()

    def changed(self) -> PriceBook | None:
        """Return the prices of a file that has changed, ``None`` if it has not. A broken one is logged, and ignored."""
        if self._file is None:
            return None
        try:
            content = self._file.poll()
            if content is None:
                return None
            book = _book(content)
        except OSError as error:
            self._logger.warning("%s cannot be read, the old prices stay in force: %s", self._path, error.strerror)
            return None
        except ValueError as error:
            self._logger.warning("%s cannot be used, the old prices stay in force: %s", self._path, error)
            return None
        self._logger.info("%s has new prices, which are in force now", self._path)
        return book

    def use(self, book: PriceBook) -> None:
        """Let prices of the file be those of a book."""
        self._read = True
        self._prices.exchange((self._own, book))

    def current(self) -> Prices:
        """Return the prices; a file that nobody has loaded, because the processor runs inside another, is read now."""
        if self._file is not None and not self._read:
            self._read = True
            book = self.changed()
            if book is not None:
                self.use(book)
        return self._prices


def _book(content: bytes) -> PriceBook:
    return PriceBook(read_prices(content.decode()))
