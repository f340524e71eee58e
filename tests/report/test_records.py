import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.report.conftest import EVALUATED

from tightbound.core.digests.arrays import read_arrays, write_arrays
from tightbound.core.errors import UsageError
from tightbound.report import json_records, summary_lines, write_report
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
    with pytest.raises(UsageError, match="line 1 is damaged"):
        read_records(bare_run)


def test_seeds_may_hold_nulls_and_infinities(bare_run, write_lines):
    rows = [{"epoch": 1, "train_bound": [None, -np.inf, -3]}]
    write_lines(bare_run / "metrics.jsonl", rows)
    np.testing.assert_array_equal(read_records(bare_run).history.train, [[np.nan, -np.inf, -3]])


@pytest.mark.parametrize("entry", [write_report, summary_lines])
@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda run: run.rename(run.with_name("gone")), "no run folder at"),
        (lambda run: (run / "config.toml").unlink(), "settings of a run at .*found no file"),
        (lambda run: (run / "config.toml").write_text("k = = 3"), "config.toml is damaged"),
        (lambda run: (run / "config.toml").write_text(""), "config.toml is empty"),
        (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl is missing"),
        (lambda run: (run / "metrics.jsonl").write_text('{"epo'), "no finished epoch"),
    ],
)
def test_unusable_runs_are_refused_in_one_line(bare_run, entry, break_it, words):
    break_it(bare_run)
    with pytest.raises(UsageError, match=words) as caught:
        entry(bare_run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entry", [write_report, summary_lines, json_records])
def test_one_flipped_bit_in_any_file_is_refused_in_one_line(full_run, entry):
    rng = np.random.default_rng(0)
    files = sorted(path for path in full_run.rglob("*") if path.is_file())
    assert len(files) == 7
    for path in files:
        payload = path.read_bytes()
        for place in (0, len(payload) // 2, len(payload) - 1, rng.integers(len(payload))):
            bit = 1 << int(rng.integers(8))
            path.write_bytes(payload[:place] + bytes([payload[place] ^ bit]) + payload[place + 1 :])
            with pytest.raises(UsageError, match=path.name) as caught:
                entry(full_run)
            assert "\n" not in str(caught.value)
        path.write_bytes(payload)


def _beside(run, name, **changes):
    """Another evaluation of the same model and data; it leads if its file's name is returned."""
    _, record = read_arrays(run / EVALUATED, "evaluation")
    asked = {**record["question"], **changes.pop("question", {})}
    record |= {"question": asked, **changes}
    write_arrays(run / "evaluations" / name, "evaluation", {"rows": np.arange(300)}, record)
    leading = read_records(run).leading
    assert leading is not None
    return leading.file


def test_what_the_ladder_corrected_leads_and_then_the_largest_k(full_run, corrected):
    first = Path(EVALUATED).name
    assert _beside(full_run, "a.safetensors", k=50) == first
    assert _beside(full_run, "b.safetensors", k=50_000) == "b.safetensors"
    more = {"k": 50_000, "question": {"temperatures": 30}}
    assert _beside(full_run, "c.safetensors", **more) == "c.safetensors"
    # Without a ladder, as of a discrete prior, the way without settings is importance sampling.
    assert _beside(full_run, "d.safetensors", question={"k": None}) == "c.safetensors"
    assert _beside(full_run, "e.safetensors", **corrected) == "e.safetensors"
    later = {**corrected, "question": {"key": 1}}
    assert _beside(full_run, "f.safetensors", **later) == "e.safetensors"
    dearer = [
        {**seed, "recommended": {**seed["recommended"], "gradients": 3_000}}
        for seed in corrected["seeds"]
    ]
    assert _beside(full_run, "g.safetensors", **corrected | {"seeds": dearer}) == "g.safetensors"
    assert _beside(full_run, "h.safetensors", k=60_000) == "g.safetensors"
    assert any("log-likelihood, k = 60000, key 0" in line for line in summary_lines(full_run))
    assert any("k = 5000 and ladder, key 1" in line for line in summary_lines(full_run))


def test_tables_are_read_in_double_precision_and_all_else_is_left_out(evaluated, rewrite):
    arrays = {"khat": np.zeros(3), "ess": np.ones((1, 3), np.int64), "rows": np.arange(3)}
    rewrite(evaluated, arrays=arrays)
    records = read_records(evaluated.parent.parent)
    assert list(records.diagnostics) == ["ess"]
    assert records.diagnostics["ess"].dtype == np.float64


def test_the_report_imports_no_model_code_and_no_figures_until_asked():
    heavy = "{'jax', 'equinox', 'matplotlib', 'numpyro', 'sklearn'}"
    program = f"import sys, tightbound.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
