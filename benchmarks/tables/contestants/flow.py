"""flowjax: a masked autoregressive flow, stopped by validation rows."""

# pyright: reportMissingImports=false

import jax
import jax.numpy as jnp
import numpy as np
from flowjax.distributions import Normal
from flowjax.flows import masked_autoregressive_flow
from flowjax.train import fit_to_data
from jaxtyping import Float
from sklearn.preprocessing import StandardScaler

from benchmarks.tables.questions.density import Split


def log_density(split: Split, seed: int) -> Float[np.ndarray, " m"]:
    scaler = StandardScaler().fit(split.train)
    rows = jnp.asarray(scaler.transform(np.concatenate([split.train, split.validation])))
    build, fit = jax.random.split(jax.random.key(seed))
    flow = masked_autoregressive_flow(build, base_dist=Normal(jnp.zeros(rows.shape[1])))
    # Its validation rows are its own choice, as many as those that are there for it.
    flow, _ = fit_to_data(
        fit,
        flow,
        rows,
        max_epochs=1000,
        max_patience=20,
        val_prop=len(split.validation) / len(rows),
        show_progress=False,
    )
    nats = flow.log_prob(jnp.asarray(scaler.transform(split.test)))
    return np.asarray(nats, np.float64) - np.log(np.asarray(scaler.scale_)).sum()
