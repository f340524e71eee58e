"""Outliers among pictures through the command, with the pixels to blame."""

import json
from pathlib import Path

import numpy as np
import pytest

from tightbound import runs

FIT = (
    "--latent", "1", "--hidden", "4", "--k", "2", "--epochs", "2", "--evaluate-k", "0",
    "--scale", "1",
)  # fmt: skip


def write_pictures():
    """Pictures of 4 x 4 pixels that are dark but for a column, and one with a bright corner."""
    rng = np.random.default_rng(0)
    x = (rng.random((200, 4, 4)) < [0.05, 0.9, 0.05, 0.02]).astype(np.uint8)
    np.save("small.npy", x)
    new = x[:3].copy()
    new[1, :, 3], new[1, :, 1] = 1, 0
    np.save("new.npy", new)


@pytest.mark.slow
def test_outliers_are_pictured(tightbound):
    write_pictures()
    status, _, err = tightbound("fit", "small.npy", *FIT, "--name", "s")
    assert status == 0, err
    ask = ("score", "s", "new.npy", "--scale", "1", "--k", "20", "--picture", "o.png", "--json")
    status, out, err = tightbound(*ask, "-o", "s.csv")
    assert status == 0, err
    assert json.loads(out)["picture"] == "o.png"
    assert Path("o.png").stat().st_size > 5_000
    found = runs.score_data(Path("runs/s"), "new.npy", k=20, scale=1.0, pictured=True)
    assert found.least_usual()[0] == 1
    Path("o.png").unlink()
    status, out, err = tightbound(*ask, "-o", "s.csv", "--blame", "0")
    assert json.loads(out)["picture"] == "none: no p-value is up to 0, see --blame"
    assert not Path("o.png").exists()
    status, _, err = tightbound(*ask[:-3], "--picture", "o.csv")
    assert (status, err.count("\n")) == (2, 1)
    assert "expected --picture with a suffix out of .png" in err


@pytest.mark.slow
def test_tables_have_no_pictures(tightbound):
    np.savetxt("t.csv", np.random.default_rng(0).normal(size=(60, 3)), delimiter=",", fmt="%.3f")
    flags = ("--likelihood", "gaussian", *FIT[:-2], "--header", "no")
    assert tightbound("fit", "t.csv", *flags, "--name", "t")[0] == 0
    status, _, err = tightbound("score", "t", "t.csv", "--header", "no", "--picture", "o.png")
    assert (status, err.count("\n")) == (2, 1)
    assert "expected a run of grey pictures" in err
