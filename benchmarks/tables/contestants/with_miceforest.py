"""miceforest: chained equations with gradient-boosted trees, five tables."""

# pyright: reportMissingImports=false

import miceforest
import numpy as np
import pandas as pd

from benchmarks.tables.holes import Filled, Holed

TABLES, ROUNDS = 5, 5


def impute(table: Holed, seed: int) -> Filled:
    frame = pd.DataFrame(table.x, columns=[f"c{j}" for j in range(table.x.shape[1])])
    for j in table.levelled:
        frame[f"c{j}"] = pd.Categorical(frame[f"c{j}"])
    # Its "normal" matching of levels takes logits of probabilities, and fails where one is 1.
    strategy = {f"c{j}": "fast" if count else "normal" for j, count in enumerate(table.levels)}
    kernel = miceforest.ImputationKernel(
        frame, num_datasets=TABLES, mean_match_strategy=strategy, random_state=seed
    )
    kernel.mice(ROUNDS)
    tables = np.stack([kernel.complete_data(t).to_numpy(np.float64) for t in range(TABLES)])
    x = tables.mean(axis=0)
    for j in table.levelled:
        votes = np.stack(
            [(tables[..., j] == level).sum(axis=0) for level in range(table.levels[j])]
        )
        x[:, j] = np.argmax(votes, axis=0)
    return Filled(np.where(np.isnan(table.x), x, table.x))
