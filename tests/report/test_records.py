import subprocess
import sys

import numpy as np
import pytest

from tightbound.errors import UsageError
from tightbound.report import summary_lines, write_report
from tightbound.report.records import read_records


def test_history_is_read_with_gaps_as_nan(bare_run):
    history = read_records(bare_run).history
    np.testing.assert_array_equal(history.epoch, [1, 2, 3])
    np.testing.assert_allclose(history.train, [[-30, -32], [-15, -16], [-10, -32 / 3]])
    np.testing.assert_array_equal(
        history.validation, [[np.nan, np.nan], [-40, -42], [np.nan, np.nan]]
    )


def test_torn_last_line_is_ignored(bare_run):
    with (bare_run / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"epoch": 4, "train_bou')
    assert len(read_records(bare_run).history.epoch) == 3


def test_damage_before_the_last_line_is_named(bare_run):
    metrics = bare_run / "metrics.jsonl"
    metrics.write_text('{"epoch": 1, "tra\n' + metrics.read_text())
    with pytest.raises(UsageError, match="line 1 is none"):
        read_records(bare_run)


def test_seeds_may_hold_nulls_and_infinities(bare_run):
    (bare_run / "metrics.jsonl").write_text('{"epoch": 1, "train_bound": [null, -Infinity, -3]}\n')
    np.testing.assert_array_equal(read_records(bare_run).history.train, [[np.nan, -np.inf, -3]])


@pytest.mark.parametrize("entry", [write_report, summary_lines])
@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda run: run.rename(run.with_name("gone")), "no run folder at"),
        (lambda run: (run / "config.toml").unlink(), "config.toml is missing"),
        (lambda run: (run / "config.toml").write_text("k = = 3"), "expected a TOML table"),
        (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl is missing"),
        (lambda run: (run / "metrics.jsonl").write_text('{"epo'), "no finished epoch"),
    ],
)
def test_unusable_runs_are_refused_in_one_line(bare_run, entry, break_it, words):
    break_it(bare_run)
    with pytest.raises(UsageError, match=words) as caught:
        entry(bare_run)
    assert "\n" not in str(caught.value)


def test_damaged_optional_files_are_named_and_nothing_is_unpickled(full_run):
    (full_run / "units.json").write_text("{")
    (full_run / "run.json").write_text("[]")
    (full_run / "evaluation.npz").write_bytes(b"no archive")
    np.savez(full_run / "pictures.npz", samples=np.array([{}], dtype=object))
    records = read_records(full_run)
    assert records.absent == {
        "units.json": "cannot be read as a JSON object",
        "run.json": "cannot be read as a JSON object",
        "evaluation.npz": "cannot be read as an archive of arrays",
        "pictures.npz": "cannot be read as an archive of arrays",
    }
    assert records.evaluation["mean"] == -20.2


def test_arrays_of_the_wrong_rank_are_left_out_and_named(full_run):
    np.savez(full_run / "evaluation.npz", khat=np.zeros(3), ess=np.ones((1, 3), np.int64))
    records = read_records(full_run)
    assert list(records.diagnostics) == ["ess"]
    assert records.diagnostics["ess"].dtype == np.float64
    assert records.absent["evaluation.npz"] == "holds no table of numbers under khat"


def test_the_report_imports_no_model_code_and_no_figures_until_asked():
    heavy = "{'jax', 'equinox', 'matplotlib', 'numpyro', 'sklearn'}"
    program = f"import sys, tightbound.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
