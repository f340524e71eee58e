"""Every public function that takes data, by discovery, with every form that data may have.

The right forms give the numbers of a plain array; the wrong ones one line of words.
"""

import ast
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.oracles import linear_gaussian
from tightbound import evidence, models
from tightbound.core.errors import UsageError
from tightbound.diagnostics.ratio_calibration import ratio_calibration

SRC = Path(tb.__file__).parent
X = (np.random.default_rng(0).integers(0, 9, size=(12, 4)) / 8).astype(np.float32)
INNER = {
    "as_array", "as_conditions", "as_frame", "as_images", "as_source", "as_table", "as_values",
    "coded", "estimate", "load_own", "prepared", "rows_of", "sampled",
}  # fmt: skip
"""What the public functions hand data on to."""
PLANE = {"kl_on_grid"}
"""For two columns alone, of draws that a density is estimated of: in tests/evidence."""
FRAMES = {"fill"}
"""For frames alone, which come back as such: in tests/data."""
HOLED = {"informative_missingness"}
"""For data with missing values alone: in tests/diagnostics."""
STEPS = {"forecast", "particle_filter", "sequence_model", "sequences", "smooth"}
"""For models and items of shape (steps, d) alone: in tests/models."""
LEVELS = {"level_probabilities"}
"""For tables with columns of levels alone: in tests/tasks."""


@functools.cache
def model():
    return linear_gaussian.one_layer_model()


@functools.cache
def posterior(kind="normal"):
    return tb.posterior(model(), kind, hidden=(2,))


@functools.cache
def large():
    of_images = models.linear_gaussian(np.ones((16, 1)), np.zeros(16), 1.0)
    return of_images, tb.posterior(of_images, hidden=(2,))


@functools.cache
def state_space():
    return models.linear_state_space(
        np.eye(2), np.eye(2), np.eye(2), np.eye(2), np.zeros(2), np.eye(2), steps=2
    )


def fitted(x, objective="elbo", kind="normal"):
    return tb.fit(model(), posterior(kind), x, objective=objective, batch_size=6, epochs=1)


ADVERSARIAL = tb.objectives.pc_adv(hidden=(2,), inner=1)


@functools.cache
def adversarial():
    return fitted(X, ADVERSARIAL, "implicit")


@functools.cache
def labelled():
    return models.labelled(X, 2, latent=1, hidden=(2,))


CALLS = {
    "active_units": lambda x: tb.diagnostics.active_units(model(), posterior(), x)[0].variance,
    "adaptive": lambda x: (
        evidence.adaptive(model(), x, method=evidence.AMIS(each=20, rounds=2)).log_evidence
    ),
    "annealed": lambda x: evidence.annealed(model(), x, temperatures=3, chains=2).log_evidence,
    "autoencoder": lambda x: tb.autoencoder(x, latent=1, hidden=(2,)),
    "bernoulli_mixture": lambda x: models.bernoulli_mixture(x, components=2),
    "c2st": lambda x: tb.diagnostics.c2st(x, X[::-1]).accuracy,
    "classify": lambda x: tb.tasks.classify(*labelled(), x, k=2).log_joint,
    "denoise": lambda x: tb.tasks.denoise(model(), posterior(), x, noise=0.5, draws=2, k=4).x,
    "draws": lambda x: tb.draws(model(), posterior(), x, n=2),
    "draws_to_arviz": lambda x: (
        evidence.draws_to_arviz(model(), posterior(), x, k=2)["posterior"]["z"].values
    ),
    "em": lambda x: tb.em(models.gaussian_mixture(X, components=1), x, iterations=2).log_likelihood,
    "embed": lambda x: tb.tasks.embed(model(), posterior(), x, k=5, draws=2).draws,
    "expected_given_rest": lambda x: tb.tasks.expected_given_rest(model(), posterior(), x, k=4),
    "encode": lambda x: tb.tasks.encode(model(), posterior(), x, k=5),
    "evaluate": lambda x: tb.evaluate(model(), posterior(), x, k=3).log_evidence,
    "exact": lambda x: evidence.exact(model(), x).log_evidence,
    "finite_autoencoder": lambda x: models.finite_autoencoder(x, latent=2, hidden=(2,)),
    "fit": lambda x: fitted(x).history[-1].train_bound,
    "fit_table": lambda x: tb.fit_table(x, candidates="gaussian", progress=False).model,
    "gaussian_mixture": lambda x: models.gaussian_mixture(x, components=2),
    "gradient_snr": lambda x: (
        tb.diagnostics.gradient_snr(tb.objectives.elbo(), model(), posterior(), x, replicas=2)[
            "posterior"
        ].mean
    ),
    "hmc_density": lambda x: (
        evidence.hmc_density(model(), x, chains=12, transitions=2).log_evidence
    ),
    "inference_gap": lambda x: (
        evidence.inference_gap(
            model(), tb.autoencoder(X, latent=2, hidden=())[1], x, k=3, steps=4, samples=2, draws=2
        ).elbo
    ),
    "inpaint": lambda x: tb.tasks.inpaint(model(), posterior(), x, [0, 1, 1, 0], draws=2, k=4).x,
    "jackknife": lambda x: evidence.jackknife(model(), posterior(), x, k=4).log_evidence,
    "kalman": lambda x: evidence.kalman(state_space(), x).log_evidence,
    "labelled": lambda x: models.labelled(x, 2, latent=1, hidden=(2,)),
    "load": lambda x: tb.data.load(x).train,
    "load_items": lambda x: tb.data.load_items(x).x,
    "missingness": lambda x: models.missingness(
        model(), posterior(), sign="high_missing", censored=x
    )[0],
    "prior_sampling": lambda x: evidence.prior_sampling(model(), x, k=3).log_evidence,
    "ratio_calibration": lambda x: (
        ratio_calibration(adversarial(), ADVERSARIAL, x, draws=12, bins=2)[0].loss
    ),
    "restoration": lambda x: models.restoration(x, np.eye(4)[:2])[0],
    "reverse_annealed": lambda x: (
        evidence.reverse_annealed(
            model(), x, np.zeros((12, 2), np.float32), temperatures=3, chains=2
        ).log_evidence
    ),
    "sandwich": lambda x: (
        tb.sandwich(
            model(), x=x, z=np.zeros((12, 2), np.float32), temperatures=3, chains=2
        ).upper.log_evidence
    ),
    "conditional": lambda x: tb.tasks.conditional(model(), posterior(), x, [0], [1], k=4).log_p,
    "score": lambda x: tb.score(model(), posterior(), x, k=4).log_p,
    "impute": lambda x: tb.impute(model(), posterior(), x, draws=40, k=4).x,
    "predictive": lambda x: tb.tasks.predictive(model(), posterior(), x, draws=2, k=4).draws,
    "semi_implicit_sandwich": lambda x: (
        evidence.semi_implicit_sandwich(model(), posterior("semi_implicit"), x, k=2, draws=2).lower
    ),
    "super_resolve": lambda x: (
        tb.tasks.super_resolve(*large(), x, factor=2, shape=(4, 4), draws=2, k=4).x
    ),
    "simulated": lambda x: models.simulated(x, x),
    "source": lambda x: tb.source(model(), x).seen(key=jax.random.key(0)).x,
    "to_arviz": lambda x: evidence.to_arviz(model(), posterior(), x, k=2)["proposal"]["z"].values,
}
"""From data to numbers, for each function."""
QUICK = (
    "active_units", "autoencoder", "draws", "evaluate", "exact", "kalman", "load", "load_items",
    "source",
)  # fmt: skip


def entries():
    """The names of public functions with an argument for data of any form."""
    found = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                arguments = (*node.args.args, *node.args.kwonlyargs)
                if any("DataLike" in ast.unparse(a.annotation) for a in arguments if a.annotation):
                    found.add(node.name)
    return found


def same_numbers(form, folder):
    """X in another form."""
    match form:
        case "list":
            return X.tolist()
        case "memory map":
            mapped = np.memmap(folder / "x", np.float32, "w+", shape=X.shape)
            mapped[:] = X
            return mapped
        case "frame":
            return pytest.importorskip("pandas").DataFrame(X)
        case "polars":
            return pytest.importorskip("polars").DataFrame(X)
    return {
        "float64": lambda: X.astype(np.float64),
        "float16": lambda: X.astype(np.float16),
        "Fortran": lambda: np.asfortranarray(X),
        "big-endian": lambda: X.astype(">f4"),
        "masked": lambda: np.ma.masked_array(X, np.zeros(X.shape, bool)),
        "JAX": lambda: jnp.asarray(X),
    }[form]()


FORMS = (
    "list", "memory map", "frame", "polars", "float64", "float16", "Fortran", "big-endian",
    "masked", "JAX",
)  # fmt: skip
WRONG = {
    "NumPy scalar": np.float32(0.5),
    "one column": X[:, 0],
    "text": "no such file.npy",
    "words": np.array([["a", "b"]] * 12),
    "complex": X.astype(np.complex64),
    "nothing": np.zeros((0, 4), np.float32),
    "a dict": {"x": X},
    "rows of unequal length": [[0.5, 1.0], [0.5]],
    "an object": object(),
    "infinity": np.where(X == X[0, 0], np.inf, X),
}
every_call = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in CALLS]
)


def numbers(found):
    arrays = [leaf for leaf in jax.tree.leaves(found) if hasattr(leaf, "dtype")]
    return arrays or [np.asarray(found, np.float64)]


def test_every_entry_is_called():
    assert entries() - INNER - PLANE - FRAMES - HOLED - LEVELS - STEPS == set(CALLS)


@every_call
def test_the_form_of_data_changes_no_number(name, tmp_path):
    expected = numbers(CALLS[name](X))
    for form in FORMS:
        found = numbers(CALLS[name](same_numbers(form, tmp_path)))
        for one, other in zip(expected, found, strict=True):
            if not jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
                np.testing.assert_array_equal(one, other, err_msg=form)


@every_call
def test_what_is_no_data_is_refused_in_one_line(name):
    for what, wrong in WRONG.items():
        with pytest.raises(UsageError) as error:
            CALLS[name](wrong)
        assert "\n" not in str(error.value), what
        assert len(str(error.value)) < 400, what
