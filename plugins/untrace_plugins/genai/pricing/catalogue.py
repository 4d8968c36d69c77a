"""Prices of the library genai-prices, which brings them along.

The library prices a call by decomposing its usage into the units that the model is priced in. That is linear in the
tokens of each sort, as long as no step of a tariff is crossed: so it is asked once per step and sort, for a million
tokens of nothing else. Everything that it knows holds, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from untrace_plugins.genai.pricing.tariff import Found, Rates, Schedule, Step, Tariff

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

__all__ = ["Catalogue", "schedule_of"]

_PROVIDERS: Final = {
    "azure.ai.inference": ("azure", "openai"),
    "azure.ai.openai": ("azure", "openai"),
    "gcp.gen_ai": ("google",),
    "hugging_face": ("huggingface_together",),
    "x_ai": ("x-ai",),
}
"""Names of the convention that the library does not know, or takes for something else."""
_SECONDS_PER_DAY: Final = 86_400
_NANOSECONDS: Final = 1_000_000_000
_MILLION: Final = 1_000_000
_LAST_SECOND: Final = 253_402_300_799
"""31 December 9999, the last that a date can say."""


class Catalogue:
    """Finds schedules by provider and model. The first one takes a third of a second, to import the library's data.

    It remembers what it was asked without end: whoever asks for names from outside exchanges it now and then.
    """

    def __init__(self) -> None:
        from genai_prices.data_snapshot import DataSnapshot, get_snapshot  # noqa: PLC0415  heavy, needed only here

        self._snapshot = DataSnapshot(get_snapshot().providers, from_auto_update=False)

    def find(self, provider: str | None, model: str, tier: str | None, server: str | None) -> Found | None:
        """Return provider and model as the catalogue names them, and prices, ``None`` where it has none.

        Whom the server's address belongs to answered, whatever the provider is called; where it is nobody's whom the
        library knows, the name decides. Without both, the model alone has to be enough: its maker's price, or that of
        all who have it, if they agree.
        """
        named = _PROVIDERS.get(provider, (provider,)) if provider else ()
        serving = self._provider_at(server) if server else None
        if serving is not None and serving not in named:
            candidates: tuple[str | None, ...] = (serving,)
        else:
            candidates = named or (None,)
        for candidate in candidates:
            try:
                owner, priced = self._snapshot.find_provider_model(model, None, candidate, None)
            except LookupError:
                continue
            return Found(owner.id, priced.id, schedule_of(owner, priced, tier))
        return self._agreed(model, tier) if candidates == (None,) else None

    def _agreed(self, model: str, tier: str | None) -> Found | None:
        """Return the price that all ask who list the model, if they are several."""
        providers = self._snapshot.providers
        found = [
            (one, priced) for one in providers if (priced := one.find_model(model.lower(), all_providers=providers))
        ]
        if not found[1:] or any(priced.prices != found[0][1].prices for _, priced in found[1:]):
            return None
        return Found("", found[0][1].id, schedule_of(*found[0], tier))

    def _provider_at(self, server: str) -> str | None:
        try:
            return self._snapshot.find_provider(None, None, f"https://{server}").id
        except LookupError:
            return None


def schedule_of(provider: Provider, model: ModelInfo, tier: str | None) -> Schedule:
    """Return the prices of a model of the library, as its service tier has them."""
    context = _context(tier) if any(model is own for own in provider.models) else None
    constraints = [*_constraints(model, with_variants=context is not None)]
    return _ConstrainedSchedule([_check(one) for one in constraints], lambda at: model.get_prices(at, context))


def _context(tier: str | None) -> dict[str, str] | None:
    """Return what the library selects prices by; it calls batch processing no service tier."""
    if not tier:
        return None
    return {"service_tier": tier, "processing": tier} if tier == "batch" else {"service_tier": tier}


def _constraints(model: ModelInfo, *, with_variants: bool) -> Iterator[Any]:
    priced: list[Any] = model.prices if isinstance(model.prices, list) else []
    variants: list[Any] = model.price_variants or [] if with_variants else []
    yield from (one.constraint for one in [*priced, *variants] if one.constraint is not None)


def _check(constraint: Any) -> Callable[[int], bool]:
    """Return a test of nanoseconds since the Unix epoch, in UTC, that says what the constraint says of a date."""
    if hasattr(constraint, "start_date"):
        midnight = datetime.combine(constraint.start_date, datetime.min.time(), UTC)
        since = int(midnight.timestamp()) * _NANOSECONDS
        return lambda at: at >= since
    start, end = _second_of_day(constraint.start_time), _second_of_day(constraint.end_time)
    if end < start:
        return lambda at: (second := at // _NANOSECONDS % _SECONDS_PER_DAY) >= start or second < end
    return lambda at: start <= at // _NANOSECONDS % _SECONDS_PER_DAY < end


def _second_of_day(moment: Any) -> int:
    """Return a time of day as seconds in UTC; the library takes times without zone for UTC too."""
    offset = int(moment.utcoffset().total_seconds()) if moment.tzinfo is not None else 0
    seconds: int = moment.hour * 3600 + moment.minute * 60 + moment.second - offset
    return seconds % _SECONDS_PER_DAY


class _ConstrainedSchedule:
    """Tariffs by which constraints of time are met; each combination is compiled when it first comes up."""

    __slots__ = ("_checks", "_compiled", "_prices_at")

    def __init__(self, checks: list[Callable[[int], bool]], prices_at: Callable[[datetime], ModelPrice]) -> None:
        self._checks = checks
        self._prices_at = prices_at
        self._compiled: dict[tuple[bool, ...], Tariff] = {}

    def at(self, unix_nano: int) -> Tariff | None:
        """Return the tariff of a moment. Raises ``ValueError`` for prices that the library cannot apply."""
        met = tuple([check(unix_nano) for check in self._checks]) if self._checks else ()
        tariff = self._compiled.get(met)
        if tariff is None:
            seconds = min(unix_nano / _NANOSECONDS, _LAST_SECOND)
            tariff = self._compiled[met] = _tariff(self._prices_at(datetime.fromtimestamp(seconds, UTC)))
        return tariff


def _tariff(prices: ModelPrice) -> Tariff:
    from genai_prices.types import TieredPrices  # noqa: PLC0415  loaded by now

    tiered = [price for price in prices.__dict__.values() if isinstance(price, TieredPrices)]
    starts = sorted({tier.start for price in tiered for tier in price.tiers})
    steps = [Step(start, _rates(_flattened(prices, start + 1))) for start in starts]
    return Tariff(_rates(_flattened(prices, 0)), steps)


def _flattened(prices: ModelPrice, input_tokens: int) -> ModelPrice:
    """Return the prices as they are for calls of that size, without steps."""
    flat = copy(prices)
    for key, price in prices.__dict__.items():
        tiers = getattr(price, "tiers", None)
        if tiers is not None:
            reached = [tier.price for tier in tiers if input_tokens > tier.start]
            flat.__dict__[key] = reached[-1] if reached else price.base
    return flat


def _rates(prices: ModelPrice) -> Rates:
    from genai_prices.types import Usage  # noqa: PLC0415  loaded by now

    def cost(**tokens: int) -> float:
        return float(prices.calc_price(Usage(**tokens))["total_price"])

    request = cost()

    def per_million(**tokens: int) -> float:
        return cost(**tokens) - request

    return Rates(
        input=per_million(input_tokens=_MILLION),
        output=per_million(output_tokens=_MILLION),
        cache_read=per_million(input_tokens=_MILLION, cache_read_tokens=_MILLION),
        cache_write=per_million(input_tokens=_MILLION, cache_write_tokens=_MILLION),
        reasoning=per_million(output_tokens=_MILLION, output_reasoning_tokens=_MILLION),
        request=request,
    )
