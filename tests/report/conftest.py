from pathlib import Path

import numpy as np
import pytest

from tightbound.core.digests.arrays import read_arrays, write_arrays
from tightbound.core.digests.lines import START, read_lines, to_line
from tightbound.core.digests.record import read_record, write_record
from tightbound.core.digests.text import sealed

WEIGHTS = "5e" * 32
DATA = {part: f"{number}a" * 32 for number, part in enumerate(("train", "validation", "test"))}
MODEL = {"weights": WEIGHTS, "epochs_run": 3}
QUESTION = {
    "split": "test",
    "k": 5000,
    "key": 0,
    "temperatures": None,
    "chains": None,
    "binarize": "auto",
    "weights": WEIGHTS,
    "data": DATA["test"],
    "tightbound": "0.1.0",
}

SEED = {
    "log_evidence_mean": -20.1,
    "stderr_mean_mc": 0.0123,
    "stderr_data": 0.4,
    "rounding": 1e-6,
    "ess_median": 812.3,
    "khat_share_bad": 0.013,
    "verdict": "trust",
    "reason": "",
    "bound_by_k": {"5": -21.5, "10": -21.0, "1": -22.0, "100": -20.4, "5000": -20.1},
}
EVALUATION = {
    "question": QUESTION,
    "epoch": 3,
    "split": "test",
    "binarisation": "fixed",
    "k": 5000,
    "n": 300,
    "unit": "nats",
    "direction": "lower (stochastic, consistent in k)",
    "seeds": [SEED, {**SEED, "log_evidence_mean": -20.3, "stderr_data": 0.5, "rounding": 0.31}],
    "mean": -20.2,
    "interval": [-20.35, -20.051],
    "interval_kind": "95% over seeds (t)",
    "seconds": 12.0,
    "verdict": "trust",
    "reason": "few heavy tails",
}
RUN = {
    "weights": WEIGHTS,
    "name": "digits-iwae",
    "likelihood": {"support": "binary", "discrete": True},
    "data": {
        "name": "digits",
        "split": "stratified",
        "units": "intensity",
        "checksum": "sha256:abc",
        "digests": DATA,
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
    "weights": WEIGHTS,
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
    "weights": WEIGHTS,
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


def write_lines(path: Path, rows: list[dict]) -> None:
    """A file of lines as `fit` writes it."""
    digest, text = START, ""
    for row in rows:
        line, digest = to_line(row, digest)
        text += line
    path.write_text(text)


@pytest.fixture(name="write_lines")
def _write_lines():
    return write_lines


@pytest.fixture
def bare_run(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    config = ['data = "digits"', 'objective = "iwae"', "k = 50", 'likelihood = "bernoulli"']
    (run / "config.toml").write_text(sealed("\n".join([*config, "hidden = [200, 100]", ""])))
    rows = [
        {"epoch": e, "step": 12 * e, "train_bound": [-30.0 / e, -32.0 / e]} for e in range(1, 4)
    ]
    rows[1]["validation_bound"] = [-40.0, -42.0]
    write_lines(run / "metrics.jsonl", rows)
    return run


@pytest.fixture
def full_run(bare_run: Path) -> Path:
    rng = np.random.default_rng(0)
    model = {**MODEL, "history": read_lines(bare_run / "metrics.jsonl").records}
    write_arrays(bare_run / "model.safetensors", "saved run", {"w": np.zeros(2, np.float32)}, model)
    for name, record in {"run": RUN, "units": UNITS}.items():
        write_record(bare_run / f"{name}.json", name, record)
    khat = np.linspace(-0.2, 1.2, 600, dtype=np.float32).reshape(2, 300)
    arrays = {"khat": khat, "ess": khat, "rows": np.arange(300)}
    write_arrays(bare_run / EVALUATED, "evaluation", arrays, EVALUATION)
    pictures = {
        "samples": rng.random((25, 64), np.float32),
        "originals": rng.random((12, 64), np.float32),
        "reconstructions": rng.random((12, 64), np.float32),
    }
    write_arrays(bare_run / "pictures.safetensors", "pictures", pictures, {"weights": WEIGHTS})
    return bare_run


CORRECTED = {
    **SEED,
    "log_evidence_mean": -20.6,
    "verdict": "do not trust",
    "reason": "q misses a mode",
    "recommended": {
        "log_evidence_mean": -19.9,
        "stderr_mean_mc": 0.05,
        "stderr_data": 0.41,
        "verdict": "trust",
        "reason": "the ladder is +0.700 nats away",
        "shift": 0.7,
        "stderr_shift": 0.04,
        "difference": 0.7,
        "stderr_difference": 0.05,
        "n": 16,
        "evaluations": 40_000,
        "gradients": 2_000,
    },
}
"""A seed that the ladder corrected."""


@pytest.fixture
def corrected():
    """Entries of a record whose two seeds the ladder corrected."""
    second = {**CORRECTED, "recommended": {**CORRECTED["recommended"], "shift": 0.8}}
    return {
        "direction": "consistent (no bound)",
        "seeds": [{**CORRECTED, "verdict": "trust"}, second],
        "mean": -19.9,
        "interval": [-20.1, -19.7],
    }


EVALUATED = "evaluations/test-k5000-key0-0123abcd.safetensors"


@pytest.fixture
def evaluated(full_run: Path) -> Path:
    """The file of the evaluation that leads."""
    return full_run / EVALUATED


@pytest.fixture
def rewrite():
    """Changes entries of a record in place: of its JSON object, or `arrays` of a file of arrays."""

    def change(path: Path, *, arrays: dict[str, np.ndarray] | None = None, **entries) -> None:
        if path.suffix == ".json":
            write_record(path, path.stem, {**read_record(path, path.stem), **entries})
            return
        kind = {"pictures": "pictures", "model": "saved run"}.get(path.stem, "evaluation")
        before, metadata = read_arrays(path, kind)
        write_arrays(path, kind, before if arrays is None else arrays, {**metadata, **entries})

    return change


@pytest.fixture
def adversarial_run(full_run: Path, rewrite) -> Path:
    write_record(full_run / "calibration.json", "calibration", CALIBRATION)
    lines = read_lines(full_run / "metrics.jsonl").records
    for line in lines:
        line["info"] = {"classifier_loss": [0.6, 0.7], "classifier_accuracy": [0.7, 0.6]}
    write_lines(full_run / "metrics.jsonl", lines)
    rewrite(full_run / "model.safetensors", history=lines)
    return full_run
