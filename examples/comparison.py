"""What the examples that compare posteriors share: their options, their fits and their cells."""

import argparse
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optax
from matplotlib.figure import Figure
from scipy import stats

import tightbound as tb
from tightbound.objectives.registry import parse


def parser(
    description: str | None, *, steps: int, batch: int | None = None
) -> argparse.ArgumentParser:
    """The options that all of them have; `--batch` for those that choose it."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--out", type=Path, default=Path("pictures"))
    options.add_argument("--steps", type=int, default=steps)
    if batch is not None:
        options.add_argument("--batch", type=int, default=batch, help="draws in a step")
    options.add_argument("--seeds", type=int, default=1, help="fits of each kind")
    options.add_argument("--only", default="", help="fit only what has this in its name")
    return options


def selected(
    fits: Sequence[tuple[Any, ...]], only: str, prefix: str = ""
) -> Iterator[tuple[Any, ...]]:
    """The fits, tuples of a kind, a call and more, whose name has `only` in it."""
    for fit in fits:
        if only in f"{prefix}{fit[0]} {fit[1]}":
            yield fit


def fitted(
    *arguments: Any,
    call: str,
    rate: float,
    seeds: int,
    steps: int | None = None,
    decay: int | None = None,
    **options: Any,
) -> tuple[tb.Run, float] | None:
    """`tb.fit` without warnings, by Adam with a rate that falls to zero; and seconds for one seed.

    Args:
        *arguments: Model, posterior and data.
        call: The objective.
        rate: Adam's first rate, which falls to zero by a cosine.
        seeds: Fits.
        steps: Steps of a fit without data.
        decay: Steps until the rate is zero; by default `steps`.
        **options: The further ones of `tb.fit`.

    Returns:
        The run and its seconds; None, and a line that says so, where a number was not finite.
    """
    objective = parse(call)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            run = tb.fit(
                *arguments,
                objective=objective,
                optimizer=optax.adam(optax.cosine_decay_schedule(rate, decay or steps)),
                seeds=seeds,
                steps=steps,
                **options,
            )
        except tb.NonFiniteError as error:
            print(f"stopped, {objective.description}: {error}", flush=True)
            return None
    return run, (time.perf_counter() - began) / seeds


def divergence(
    target: tb.Target, q: Any, *, components: int, draws: int, log_z: float = 0.0
) -> tuple[float, float, float, float]:
    """KL(q || p) in nats, at least and at most, by the sandwich, and both standard errors.

    Args:
        target: p, whose integral is exp(log_z).
        q: A semi-implicit posterior, or one with a density, of which both ends are equal.
        components: Of q, for each draw.
        draws: Of q; of one with a density, tens of times as many.
        log_z: In nats.
    """
    if "density" in q.offers:
        ev = tb.evaluate(target, q, k=20 * draws, key=1, progress=False)
        least = log_z - float(ev.elbo[0])
        return least, least, math.nan, math.nan
    both = tb.evidence.semi_implicit_sandwich(
        target, q, k=components, draws=draws, key=1, progress=False
    )
    least, most = log_z - float(both.upper[0]), log_z - float(both.lower[0])
    return least, most, float(both.stderr_upper[0]), float(both.stderr_lower[0])


def interval(values: Sequence[float], digits: int = 2) -> str:
    """The mean, and of several numbers half the width of its 95 % interval (Student's t)."""
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1)
    return f"{mean} ± {half / np.sqrt(len(values)):.{digits}f}"


def several(values: Sequence[float], digits: int = 3) -> str:
    """One number, or the median of several with the least and the greatest."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    low, median, high = np.quantile(values, [0.0, 0.5, 1.0])
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def save(figure: Figure, folder: Path, name: str) -> None:
    """Writes the picture and says where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=100)
    print(f"picture: {folder / f'{name}.png'}")
