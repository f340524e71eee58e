"""Who fills holes, finds anomalies or gives densities, each in one file, and by which settings."""

from dataclasses import dataclass

OURS = "tightbound"
HOLES = ("imputation", "mixed", "large")
PYOD = ("pyod", "scikit-learn")


@dataclass(frozen=True)
class Contestant:
    """One file, `module`, with the function that its questions ask for.

    `impute(table: Holed, seed) -> Filled`, `score(rows: Rows, seed) -> Scored` or
    `log_density(split: Split, seed) -> nats of each test row`.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    questions: tuple[str, ...]
    computes: str


CONTESTANTS = (
    Contestant(
        OURS,
        "ours",
        ("tightbound", "jax"),
        (*HOLES, "anomalies", "density"),
        "`tb.fit_table(x)`, float32; 200 draws (`large`: 40); of anomalies `DeepDetector()`",
    ),
    Contestant(
        "mean",
        "mean",
        ("numpy",),
        HOLES,
        "the mean of a column, or its most frequent level; log p of the column by itself",
    ),
    Contestant(
        "kNN",
        "neighbours",
        ("scikit-learn",),
        ("imputation", "mixed"),
        "`KNNImputer`, k of 3 to 100 chosen by a tenth of the known cells; standardised numbers, "
        "levels one-hot",
    ),
    Contestant(
        "iterative",
        "iterative",
        ("scikit-learn",),
        HOLES,
        "`IterativeImputer()` (Bayesian ridge, ten rounds); levels by their numbers, rounded",
    ),
    Contestant(
        "iterative one-hot",
        "iterative_one_hot",
        ("scikit-learn",),
        ("mixed",),
        "the same, levels one-hot",
    ),
    Contestant(
        "iterative draws",
        "iterative_draws",
        ("scikit-learn",),
        ("imputation",),
        "`IterativeImputer(sample_posterior=True)`, 100 tables",
    ),
    Contestant(
        "forests",
        "forests",
        ("scikit-learn",),
        ("imputation",),
        "`IterativeImputer(ExtraTreesRegressor(50, min_samples_leaf=2))`, ten rounds",
    ),
    Contestant(
        "MissForest",
        "miss_forest",
        ("scikit-learn",),
        ("mixed",),
        "Stekhoven & Bühlmann 2012 on scikit-learn's forests of 50 trees, ten rounds at most; log "
        "p of levels by shares of trees, to which one more that is unsure is added",
    ),
    Contestant(
        "miceforest",
        "with_miceforest",
        ("miceforest", "lightgbm"),
        ("imputation", "mixed"),
        '`ImputationKernel(num_datasets=5)` (levels by "fast" matching), `mice(5)`; the mean (of '
        "levels the most frequent) of five tables",
    ),
    Contestant(
        "HyperImpute",
        "with_hyperimpute",
        ("hyperimpute", "pandas", "scikit-learn"),
        ("imputation", "mixed"),
        '`Imputers().get("hyperimpute")`',
    ),
    Contestant(
        "Gaussian",
        "gaussian",
        ("numpy",),
        (*HOLES, "density"),
        "one Gaussian with a full covariance by EM (without holes: its maximum likelihood); levels "
        "one-hot",
    ),
    Contestant(
        "mixture",
        "mixture",
        ("scikit-learn",),
        ("anomalies", "density"),
        "`GaussianMixture(K, reg_covar=1e-4)` of standardised columns, K of 1 to 30 by validation "
        "rows (a tenth of the training rows where there are none)",
    ),
    Contestant(
        "kernels",
        "kernels",
        ("scikit-learn",),
        ("density",),
        "Gaussian `KernelDensity` of standardised columns, 25 bandwidths of 0.01 to 3 by "
        "validation rows",
    ),
    Contestant(
        "flow",
        "flow",
        ("flowjax",),
        ("density",),
        "flowjax's `masked_autoregressive_flow`, 8 layers, on standardised columns; "
        "`fit_to_data`, at most 1,000 epochs, stopped by validation rows (patience 20)",
    ),
    Contestant(
        "IForest",
        "isolation_forest",
        PYOD,
        ("anomalies",),
        "`IForest(random_state=seed)` on standardised columns, as all of PyOD's here",
    ),
    Contestant("LOF", "local_outlier_factor", PYOD, ("anomalies",), "`LOF()`"),
    Contestant("kNN distance", "neighbour_distance", PYOD, ("anomalies",), "`KNN()`"),
    Contestant("ECOD", "ecod", PYOD, ("anomalies",), "`ECOD()`"),
    Contestant("COPOD", "copod", PYOD, ("anomalies",), "`COPOD()`"),
)


def asked(question: str) -> tuple[Contestant, ...]:
    """Those that answer a question."""
    return tuple(c for c in CONTESTANTS if question in c.questions)
