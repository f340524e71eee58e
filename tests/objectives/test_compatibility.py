"""What goes with what: the page is what the objectives say, and what they say yes to works."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import once
from tests.pages import shown

from tightbound.core.streams import item_keys
from tightbound.models import autoencoder
from tightbound.objectives import Params
from tightbound.objectives.compatibility_tables import POSTERIORS, table, validity
from tightbound.objectives.registry import all_objectives, build

PAGE = Path(__file__).parents[2] / "docs" / "objectives.md"


def test_the_page_holds_the_matrix():
    assert shown(table(), PAGE) in PAGE.read_text(), f"docs/objectives.md should hold:\n{table()}"


def test_every_objective_suits_some_posterior():
    for name, gradient, valid in validity():
        suits_two_bounds = not (name in ("piwae", "combined") and gradient.endswith("@2"))
        exists = (gradient not in ("wake", "wake_dreg") or name == "iwae") and not (
            name == "jvi" and gradient.endswith("@2")
        )
        assert valid[0] == (suits_two_bounds and exists), (name, gradient)


# One program for all that say yes: each gives finite gradients, and some that are not zero.
@pytest.mark.slow
@pytest.mark.parametrize("kind", POSTERIORS)
def test_what_is_valid_runs(kind):
    data = np.random.default_rng(0).random((6, 4)).round().astype(np.float32)
    parts = Params(*autoencoder(data, latent=2, hidden=(3,), **POSTERIORS[kind]))
    column = list(POSTERIORS).index(kind)
    valid = {(name, gradient) for name, gradient, ok in validity() if ok[column]}
    objectives = {
        (name, gradient): build(
            name,
            **all_objectives()[name].about.example,
            **({"gradient": gradient} if gradient else {}),
        )
        for name, gradient in valid
    }

    def steps(x, keys):
        return {" ".join(key): once.step(o, parts, x, keys) for key, o in objectives.items()}

    x, keys = jnp.asarray(data), item_keys(jax.random.key(0), jnp.arange(len(data)))
    options = {"xla_backend_optimization_level": 0}
    for name, step in jax.jit(steps, compiler_options=options)(x, keys).items():
        # The sleep phase alone teaches q, and the model nothing.
        for part in step.grads[1:] if name.startswith("npe") else step.grads:
            leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(part)]
            assert all(np.isfinite(leaf).all() for leaf in leaves), name
            assert any(np.any(leaf != 0) for leaf in leaves), name
        assert np.isfinite(step.bound).all(), name
