"""Whether a fit chooses among models, by the settings that were given."""

from pathlib import Path

import pytest
from tests.runs.tables import rows, write_table

from tightbound.core.errors import UsageError
from tightbound.recipes.candidates import CANDIDATES, candidates, left_open
from tightbound.recipes.settings import OF_NO_MODEL, Config


def test_a_table_without_settings_of_a_model_leaves_it_open():
    def opened(**given):
        return left_open(given, OF_NO_MODEL)

    assert opened(data="a.csv")
    assert opened(data="a.PARQUET", key=3, label="y", evaluate_k=0, header=True)
    assert not opened(data="a.npy")
    assert opened(data="a.npy", candidates="deep")
    assert not opened(data="digits")
    assert not opened()
    for name in sorted({field for field in vars(Config()) if field not in OF_NO_MODEL}):
        assert not opened(data="a.csv", **{name: "x"}), name
        with pytest.raises(UsageError, match=name):
            opened(data="a.csv", candidates="all", **{name: "x"})


def test_candidates_are_names_with_commas_between_them():
    assert candidates("all") is None
    assert candidates("mixture, deep") == ("mixture", "deep")
    assert candidates(",".join(CANDIDATES)) == CANDIDATES
    for wrong in ("", "Deep", "all,deep", "deep,,ppca", "deep,deep"):
        with pytest.raises(UsageError, match="candidate"):
            candidates(wrong)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("t.csv", "--candidates", "gausian"), "got 'gausian'"),
        (("t.csv", "--candidates", "all", "--latent", "3"), "latent is a setting of one model"),
        (("digits", "--candidates", "all"), "candidates are fitted to tables"),
        (("t.csv", "--evaluate-k", "5"), "expected evaluate_k=0"),
        (("t.csv", "--candidates"), "--candidates needs a value"),
    ],
)
def test_what_is_refused_is_refused_at_once(tightbound, tmp_path, flags, said):
    write_table(tmp_path / "t.csv", rows())
    status, _, err = tightbound("fit", *flags)
    assert (status, err.count("\n")) == (2, 1)
    assert said in err
    assert not Path("runs").exists()
