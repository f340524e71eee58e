import json
from pathlib import Path

import numpy as np
import pytest

SEED = {
    "log_evidence_mean": -20.1,
    "stderr_mean_mc": 0.0123,
    "stderr_data": 0.4,
    "ess_median": 812.3,
    "khat_share_bad": 0.013,
    "verdict": "trust",
    "reason": "",
    "bound_by_k": {"5": -21.5, "10": -21.0, "1": -22.0, "100": -20.4, "5000": -20.1},
}
EVALUATION = {
    "split": "test",
    "binarisation": "fixed",
    "k": 5000,
    "n": 300,
    "unit": "nats",
    "direction": "lower (stochastic, consistent in k)",
    "seeds": [SEED, {**SEED, "log_evidence_mean": -20.3, "stderr_data": 0.5}],
    "mean": -20.2,
    "interval": [-20.35, -20.051],
    "interval_kind": "95% over seeds (t)",
    "seconds": 12.0,
    "verdict": "trust",
    "reason": "few heavy tails",
}
RUN = {
    "name": "digits-iwae",
    "data": {
        "name": "digits",
        "split": "stratified",
        "units": "intensity",
        "checksum": "sha256:abc",
        "n_train": 1197,
        "n_validation": 300,
        "n_test": 300,
        "shape": [8, 8],
        "binarisation": "dynamic",
        "notes": "small",
    },
    "parameters": 117284,
    "seeds": 2,
    "versions": {"tightbound": "0.1.0"},
    "seconds_total": 74.3,
    "objective": "iwae(k=50, gradient='dreg')",
    "bound": {"kind": "lower", "k": 50, "unit": "nats"},
}
UNITS = {
    "threshold": 0.01,
    "layers": [
        {
            "name": "h1",
            "variance": [0.5, 0.001, 0.9],
            "kl": [0.3, 0.0, 0.6],
            "active": 2,
            "spectrum": [1.0, 0.4, 0.001],
        },
        {
            "name": "h2",
            "variance": [0.0, 0.7],
            "kl": None,
            "active": 1,
            "spectrum": [0.7, 0.0],
        },
    ],
}
CALIBRATION = {
    "data": "validation",
    "draws": 100,
    "classifiers": [
        {
            "loss": 0.612,
            "accuracy": 0.655,
            "calibration_error": 0.02,
            "predicted": [0.2, None, 0.7],
            "observed": [0.25, None, 0.68],
            "counts": [60.0, 0.0, 140.0],
        }
    ],
}


@pytest.fixture
def bare_run(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    config = ['data = "digits"', 'objective = "iwae"', "k = 50", 'likelihood = "bernoulli"']
    (run / "config.toml").write_text("\n".join([*config, "hidden = [200, 100]", ""]))
    rows = [
        {"epoch": e, "step": 12 * e, "train_bound": [-30.0 / e, -32.0 / e]} for e in range(1, 4)
    ]
    rows[1]["validation_bound"] = [-40.0, -42.0]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


@pytest.fixture
def full_run(bare_run: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, record in {"run": RUN, "evaluation": EVALUATION, "units": UNITS}.items():
        (bare_run / f"{name}.json").write_text(json.dumps(record))
    khat = np.linspace(-0.2, 1.2, 600, dtype=np.float32).reshape(2, 300)
    np.savez(bare_run / "evaluation.npz", khat=khat, ess=khat)
    np.savez(
        bare_run / "pictures.npz",
        samples=rng.random((25, 64), np.float32),
        originals=rng.random((12, 64), np.float32),
        reconstructions=rng.random((12, 64), np.float32),
    )
    return bare_run


@pytest.fixture
def rewrite():
    """Changes top-level entries of a JSON record in place."""

    def change(path: Path, **entries: object) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))

    return change


@pytest.fixture
def adversarial_run(full_run: Path) -> Path:
    (full_run / "calibration.json").write_text(json.dumps(CALIBRATION))
    lines = [json.loads(line) for line in (full_run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line["info"] = {"classifier_loss": [0.6, 0.7], "classifier_accuracy": [0.7, 0.6]}
    (full_run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return full_run
