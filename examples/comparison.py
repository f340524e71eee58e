"""What the examples that compare posteriors share: their options, their fits and their cells."""

import argparse
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optax
from matplotlib.figure import Figure

import tightbound as tb
from tightbound.objectives.catalogue import parse


def parser(description: str | None, *, steps: int, batch: int) -> argparse.ArgumentParser:
    """The options that all of them have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--out", type=Path, default=Path("pictures"))
    options.add_argument("--steps", type=int, default=steps)
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
    *arguments: Any, call: str, rate: float, decay: int, seeds: int, **options: Any
) -> tuple[tb.Run, float] | None:
    """`tb.fit` without warnings, by Adam with a rate that falls to zero; and seconds for one seed.

    Args:
        *arguments: Model, posterior and data.
        call: The objective.
        rate: Adam's first rate, which falls to zero by a cosine.
        decay: Steps of that.
        seeds: Fits.
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
                optimizer=optax.adam(optax.cosine_decay_schedule(rate, decay)),
                seeds=seeds,
                **options,
            )
        except tb.NonFiniteError as error:
            print(f"stopped, {objective.description}: {error}", flush=True)
            return None
    return run, (time.perf_counter() - began) / seeds


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
