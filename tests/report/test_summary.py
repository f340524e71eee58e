from tightbound.report import summary_lines


def test_rows_hold_the_headline(full_run):
    lines = summary_lines(full_run)
    assert lines[:2] == ["| | |", "|---|---|"]
    assert "| run | digits-iwae |" in lines
    assert "| training lower bound, k = 50, epoch 3 | -10.33 nats |" in lines
    assert "| test log-likelihood | -20.20 nats per item |" in lines
    assert "| negative (NLL) | 20.20 nats per item |" in lines
    assert "| error, 95% over seeds (t) | [-20.35, -20.05] |" in lines
    assert "| error, over the 300 items | ± 0.50 |" in lines
    assert "| error, single precision | up to 0.31 |" in lines
    assert "| k, items, seeds | 5000, 300, 2 |" in lines
    assert "| verdict | trust: few heavy tails |" in lines
    assert "| active units, h2 | 1 of 2 |" in lines


def test_missing_records_are_named_with_their_command(bare_run):
    lines = summary_lines(bare_run)
    assert "| evaluations | is not there: `tightbound evaluate runs/one` |" in lines
    assert "| units.json | is not there: `tightbound fit --resume --name one` |" in lines
    assert not any("log-likelihood" in line for line in lines)


def test_a_name_cannot_break_the_table_or_the_terminal(full_run, rewrite):
    rewrite(full_run / "run.json", name="a | b\n\x1b[2Jc")
    lines = summary_lines(full_run)
    assert "| run | a \\| b [2Jc |" in lines
    assert all(line.isprintable() for line in lines)


def test_a_number_that_is_no_bound_is_not_called_one(full_run, rewrite):
    rewrite(full_run / "run.json", bound={"kind": "none", "k": 1, "unit": "nats"})
    lines = summary_lines(full_run)
    assert "| training objective (no bound), k = 1, epoch 3 | -10.33 nats |" in lines


def test_a_corrected_number_has_its_lower_bound_beside_it(full_run, evaluated, rewrite, corrected):
    assert not any("estimator" in line for line in summary_lines(full_run))
    rewrite(evaluated, **corrected)
    lines = summary_lines(full_run)
    assert "| test log-likelihood | -19.90 nats per item |" in lines
    assert "| direction | consistent (no bound) |" in lines
    assert "| estimator | importance sampling, corrected by the ladder on 16 items |" in lines
    bound = "-20.60 nats per item by importance sampling (do not trust)"
    assert f"| lower bound | {bound}; the ladder adds 0.750 ± 0.050 |" in lines
    assert "| error, Monte Carlo at k = 5000, the ladder on 16 items | ± 0.050 |" in lines
    assert "| error, over the 300 items | ± 0.41 |" in lines
