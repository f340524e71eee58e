"""A table whose fit is a mixture by EM, in place of the minutes that a choice may take."""

from types import SimpleNamespace
from unittest import mock

import numpy as np

import tightbound as tb
from tightbound import runs
from tightbound.recipes.settings import Config

NAMES = ("height", 'b <&"$x$', "weight")


def rows(n=200, *, holes=0.0):
    """Two clusters in units that are far apart, and a share of cells missing."""
    rng = np.random.default_rng(0)
    far = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 3)) @ np.array([[1, 0.6, 0], [0, 1, 0], [0, 0, 1.0]])
    x = (x + 4 * far[:, None]) * [1.0, 100.0, 0.01] + [5.0, 0.0, 1.0]
    x[rng.random((n, 3)) < holes] = np.nan
    return x


def write_table(path, x):
    """A file with names that need care, and nothing where cells are missing."""
    head = ",".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in NAMES)
    cells = [",".join("" if np.isnan(v) else f"{v:.5g}" for v in row) for row in x]
    path.write_text("\n".join([head, *cells]))


def by_em(ds, candidates=None, key=0, **_):
    """What `tb.fit_table` gives, of a mixture of two Gaussians."""
    filled = np.where(np.isnan(ds.train), np.nanmean(ds.train, axis=0), ds.train)
    start = tb.models.gaussian_mixture(filled, components=2, key=key)
    run = tb.em(start, ds.train, iterations=20).as_run()
    one: dict[str, object] = {"stderr": 0.3, "difference_stderr": 0.2, "seconds": 1.5, "rows": 40}
    tried = [
        {
            "name": "2 latents",
            "kind": "deep",
            "log_p": -9.5,
            "difference": -1.3,
            "weight": 0,
            **one,
        },
        {"name": "2 parts", "kind": "mixture", "log_p": -8.2, "difference": 0, "weight": 1, **one},
    ]
    entries = {"candidates": tried, "chosen": "2 parts", "notes": ["one note"]}
    choice = SimpleNamespace(to_entries=lambda: entries)
    return SimpleNamespace(model=run.model, posterior=None, choice=choice, run=run)


def chosen_by_em():
    """A patch of the fit."""
    return mock.patch("tightbound.runs.choosing.fit_table", by_em)


CONFIG = Config(data="table.csv", candidates="all")


def fit_table_run(directory, config=CONFIG, *, resume=False):
    """A run without a posterior."""
    with chosen_by_em():
        return runs.fit_run(config, directory, resume=resume)
