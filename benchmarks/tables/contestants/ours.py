"""tightbound without settings. The only file that knows how it is called."""

import time
from typing import Any

import numpy as np
from jaxtyping import Float, Int

import tightbound as tb
from benchmarks.tables.holes import Filled, Holed
from benchmarks.tables.questions.anomalies import Rows, Scored
from benchmarks.tables.questions.density import Split


def _fit(x: Float[np.ndarray, "n d"], schema: tb.data.Schema | None, seed: int) -> tuple[Any, Any]:
    """Model and posterior."""
    found = tb.fit_table(x.astype(np.float32), schema=schema, key=seed, progress=False)
    return found.model, found.posterior


def impute(table: Holed, seed: int) -> Filled:
    """Log p of a cell is log p(known cells and it) - log p(known cells)."""
    begin = time.process_time()
    x = table.x.astype(np.float32)
    model, posterior = _fit(x, table.schema, seed)
    fitted = time.process_time() - begin
    found = tb.impute(model, posterior, x, draws=table.draws, key=seed, progress=False)

    def log_p(
        rows: Int[np.ndarray, " c"], columns: Int[np.ndarray, " c"], values: Float[np.ndarray, " c"]
    ) -> Float[np.ndarray, " c"]:
        with_it = x[rows]
        with_it[np.arange(len(rows)), columns] = values
        some, which = np.unique(rows, return_inverse=True)
        without = _log_p(model, posterior, x[some], seed)[which]
        return _log_p(model, posterior, with_it, seed) - without

    return Filled(found.x, found.predictive.draws, log_p, fit_seconds=fitted)


def score(rows: Rows, seed: int) -> Scored:
    detector = tb.sklearn.DeepDetector(random_state=seed).fit(rows.train)
    p_value = detector.p_values(rows.test) if rows.clean else None
    return Scored(-detector.score_samples(rows.test), p_value)


def log_density(split: Split, seed: int) -> Float[np.ndarray, " m"]:
    """Chooses for itself what it stops by: training and validation rows are one table to it."""
    train = np.concatenate([split.train, split.validation])
    return _log_p(*_fit(train, None, seed), split.test.astype(np.float32), seed)


def _log_p(
    model: Any, posterior: Any, x: Float[np.ndarray, "n d"], seed: int
) -> Float[np.ndarray, " n"]:
    return tb.score(model, posterior, x, blame=[], key=seed, progress=False).log_p
