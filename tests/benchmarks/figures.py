"""Medians and quartiles of interleaved pairs."""

import statistics
from collections.abc import Sequence
from typing import Any

__all__ = ("ratio_figure", "summary")


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return {"value": round(middle, 4), "q1": round(low, 4), "q3": round(high, 4), "runs": len(values)}


def ratio_figure(name: str, ours: Sequence[float], theirs: Sequence[float], **more: Any) -> dict[str, Any]:
    """The ratio ours/theirs of pairs that ran next to each other; bigger is better."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "name": name,
        **summary(ratios),
        "ours_per_s": round(statistics.median(ours), 1),
        "theirs_per_s": round(statistics.median(theirs), 1),
        **more,
    }
