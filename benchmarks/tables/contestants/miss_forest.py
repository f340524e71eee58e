"""MissForest: a forest for each column, of regression or of classification.

Reference: Stekhoven & Bühlmann 2012, Bioinformatics 28(1), algorithm 1: columns with fewer holes
first, rounds until the difference between two of them grows.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from benchmarks.tables.contestants import mean
from benchmarks.tables.contestants.coding import Coded
from benchmarks.tables.holes import Filled, Holed

TREES, ROUNDS = 50, 10


def impute(table: Holed, seed: int) -> Filled:
    holes = np.isnan(table.x)
    x, share, before = mean.impute(table, seed).x, {}, (np.inf, np.inf)
    for _ in range(ROUNDS):
        new, probabilities = _round(table, holes, x, seed)
        # A kind that the table does not have keeps no round going.
        numbers = np.sum((new - x)[:, table.numbers] ** 2) / np.sum(new[:, table.numbers] ** 2)
        levels = float(np.mean((new != x)[:, table.levelled])) if table.levelled else np.inf
        now = (float(numbers) if table.numbers else np.inf, levels)
        if all(after >= earlier for after, earlier in zip(now, before, strict=True)):
            break
        x, share, before = new, probabilities, now

    def log_p(
        rows: Int[np.ndarray, " c"], columns: Int[np.ndarray, " c"], values: Float[np.ndarray, " c"]
    ) -> Float[np.ndarray, " c"]:
        return np.log([share[j][i, int(v)] for i, j, v in zip(rows, columns, values, strict=True)])

    return Filled(x, log_p=log_p if table.levelled else None, log_p_numbers=False)


def _round(
    table: Holed, holes: Bool[np.ndarray, "n d"], x: Float[np.ndarray, "n d"], seed: int
) -> tuple[Float[np.ndarray, "n d"], dict[int, Float[np.ndarray, "n levels"]]]:
    x, share = x.copy(), {}
    for j in np.argsort(holes.sum(axis=0), kind="stable"):
        hole = holes[:, j]
        if not hole.any():
            continue
        coded = Coded.of(Holed(x, table.levels))
        rest = coded.z[:, coded.place != j]
        kind = RandomForestClassifier if table.levels[j] else RandomForestRegressor
        forest = kind(TREES, random_state=seed).fit(rest[~hole], x[~hole, j])
        x[hole, j] = forest.predict(rest[hole])
        if isinstance(forest, RandomForestClassifier):
            votes = np.zeros((len(x), table.levels[j]))
            votes[:, np.asarray(forest.classes_, int)] = TREES * forest.predict_proba(rest)
            share[int(j)] = (votes + 1 / votes.shape[1]) / (TREES + 1)
    return x, share
