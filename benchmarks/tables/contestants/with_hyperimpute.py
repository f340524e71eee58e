"""HyperImpute: column by column, by a model that it chooses."""

# pyright: reportMissingImports=false

import numpy as np
import pandas as pd
from hyperimpute.plugins.imputers import Imputers

from benchmarks.tables.holes import Filled, Holed

if int(pd.__version__.split(".")[0]) >= 3:
    # Its chained assignments write nothing there, and it gives columns' means without a word.
    raise RuntimeError(f"HyperImpute needs pandas below 3, got {pd.__version__}")


def impute(table: Holed, seed: int) -> Filled:
    frame = pd.DataFrame(table.x, columns=[f"c{j}" for j in range(table.x.shape[1])])
    found = Imputers().get("hyperimpute", random_state=seed).fit_transform(frame)
    x = np.asarray(found, np.float64)
    for j in table.levelled:
        x[:, j] = np.clip(np.rint(x[:, j]), 0, table.levels[j] - 1)
    return Filled(np.where(np.isnan(table.x), x, table.x))
