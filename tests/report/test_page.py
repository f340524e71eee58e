import base64
import hashlib
import io
import re
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from tightbound.core.digests.arrays import read_arrays
from tightbound.core.digests.record import read_record, write_record
from tightbound.core.digests.text import read_sealed, sealed
from tightbound.report import write_report
from tightbound.report.text import tone

ALL = {
    "learning_curve.png",
    "bound_against_k.png",
    "active_units.png",
    "khat.png",
    "samples.png",
    "reconstructions.png",
}


_FETCHED = ("src", "srcset", "href", "data", "action", "poster")


class _Tags(HTMLParser):
    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def _page(run) -> str:
    return write_report(run).read_text(encoding="utf-8")


def _figures(run) -> set[str]:
    return {path.name for path in (run / "figures").iterdir()}


def test_headline_numbers_are_those_of_the_evaluation(blank_charts, full_run):
    words = " ".join(_Tags(_page(full_run)).words.split())
    assert "Test log-likelihood−20.20 nats per item[−20.35, −20.05] 95% over seeds (t)" in words
    assert "trustfew heavy tails" in words
    assert "Negative (NLL)20.20 nats per item, lower is better" in words
    assert f"Bits per dimension{20.2 / (64 * np.log(2)):.4f}" in words
    assert "Error, over the 300 items± 0.50" in words, "the larger of the seeds' errors"
    assert "Error, Monte Carlo at k = 5 000± 0.012" in words
    assert "Directionlower (stochastic, consistent in k)" in words
    assert "Splittest, 300 items" in words
    assert "Binarisationfixed" in words
    assert "Seeds2" in words
    assert "h1: active units2 of 3h2: active units1 of 2" in words
    assert "1−20.300.500.012812.31.3 %trust" in words
    assert "hidden200, 100" in words
    assert "checksumsha256:abc" in words
    assert "training time1 min 14 s" in words
    assert "tightbound evaluate runs/one" in words
    assert "Not in this report" not in words


def test_a_corrected_number_has_its_lower_bound_beside_it(
    blank_charts, full_run, evaluated, rewrite, corrected
):
    rewrite(evaluated, **corrected)
    words = " ".join(_Tags(_page(full_run)).words.split())
    assert "Test log-likelihood−19.90 nats per item[−20.10, −19.70]" in words
    assert "Estimatorimportance sampling, corrected by the ladder on 16 items" in words
    assert "Lower bound−20.60 nats per item by importance sampling (do not trust)" in words
    assert "the ladder adds 0.750 ± 0.05" in words
    assert "0−19.900.410.050812.31.3 %trust" in words, "k-hat and ESS are of the weights"


def test_one_seed_shows_the_error_over_items_beside_the_number(
    blank_charts, full_run, evaluated, rewrite
):
    seeds = read_arrays(evaluated, "evaluation")[1]["seeds"][:1]
    rewrite(evaluated, seeds=seeds, interval=None)
    words = " ".join(_Tags(_page(full_run)).words.split())
    assert "nats per item± 0.40 over the 300 items" in words
    assert "one seed, spread unknown" in words


def test_densities_have_no_bits_per_dimension(blank_charts, full_run, rewrite):
    assert "Bits per dimension" in _page(full_run)
    rewrite(full_run / "run.json", likelihood={"support": "counts", "discrete": True})
    assert "Bits per dimension" in _page(full_run)
    for density in ({"support": "real", "discrete": False}, {}, "binary"):
        rewrite(full_run / "run.json", likelihood=density)
        assert "Bits per dimension" not in _page(full_run)


def test_everything_from_the_user_is_escaped(blank_charts, full_run, evaluated, rewrite):
    attack = "<script>alert('\"&')</script>"
    data = read_record(full_run / "run.json", "run")["data"]
    rewrite(
        full_run / "run.json",
        name=attack,
        objective=attack,
        data={**data, "name": attack, "notes": attack},
        versions={attack: attack},
    )
    rewrite(evaluated, **dict.fromkeys(("verdict", "reason", "unit"), attack))
    rewrite(full_run / "units.json", layers=[{"name": attack, "variance": [1.0], "active": 1}])
    text = read_sealed(full_run / "config.toml", "settings")
    text += f"'{attack.replace(chr(39), '')}' = \"<img src=x onerror=y>\"\n"
    (full_run / "config.toml").write_text(sealed(text))
    document = _page(full_run)
    tags = _Tags(document).tags
    assert escape(attack) in document
    assert not {"script", "iframe", "object", "link", "base"} & {tag for tag, _ in tags}
    assert all((at.get("src") or "").startswith("data:") for tag, at in tags if tag == "img")
    assert not any(name.startswith("on") for _, at in tags for name in at)


def test_page_asks_for_nothing_outside_itself(full_run, blank_charts):
    document = _page(full_run)
    assert not re.search(r"https?://|@import|url\(", document)
    sources = [at[name] or "" for _, at in _Tags(document).tags for name in _FETCHED if name in at]
    assert len(sources) == 6
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_policy_forbids_scripts_and_admits_only_this_style(blank_charts, full_run):
    document = _page(full_run)
    policies = [
        at["content"] or ""
        for tag, at in _Tags(document).tags
        if tag == "meta" and "http-equiv" in at
    ]
    style = document.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert len(policies) == 1
    assert "default-src 'none'; script-src 'none'" in policies[0]
    assert f"style-src 'sha256-{digest}'" in policies[0]


def test_embedded_figures_are_the_written_ones_and_the_same_every_time(full_run):
    document = _page(full_run)
    written = {path.name: path.read_bytes() for path in (full_run / "figures").iterdir()}
    images = [at["src"] or "" for tag, at in _Tags(document).tags if tag == "img"]
    assert {base64.b64decode(image.split(",")[1]) for image in images} == set(written.values())
    sizes = {name: imread(io.BytesIO(data)).shape[:2] for name, data in written.items()}
    assert sizes == {
        "learning_curve.png": (600, 960),
        "bound_against_k.png": (600, 960),
        "active_units.png": (1120, 2 * 960),  # a column for each of two layers
        "khat.png": (600, 960),
        "samples.png": (3 * 56 + 2 * 2, 10 * 56 + 9 * 2),
        "reconstructions.png": (4 * 56 + 2 + 12 + 2, 10 * 56 + 9 * 2),
    }
    assert document.count('(prefers-color-scheme: dark)" srcset') == 4, "charts have a dark twin"
    assert not any(b"Software" in data for data in written.values())
    assert _page(full_run) == document


def test_bare_run_says_what_is_missing_and_which_command_makes_it(blank_charts, bare_run):
    document = _page(bare_run)
    words = " ".join(_Tags(document).words.split())
    assert _figures(bare_run) == {"learning_curve.png"}
    assert "not evaluated" in words
    assert "−10.33 nats per item" in words, "mean of the last epoch's seeds"
    for file in ("evaluations", "units.json", "pictures.safetensors"):
        assert f"{file} is not there, so there is no figure of:" in words
    assert "To write it: tightbound evaluate runs/one" in words
    assert "run.json is not there, so data, versions and item shape are unknown" in words


def test_figures_of_an_earlier_report_do_not_outlive_their_record(blank_charts, full_run):
    write_report(full_run)
    (full_run / "units.json").unlink()
    write_report(full_run)
    assert _figures(full_run) == ALL - {"active_units.png"}


def test_classifiers_are_shown_where_there_are_any(blank_charts, adversarial_run, rewrite):
    write_report(adversarial_run)
    assert _figures(adversarial_run) == ALL | {"classifiers.png"}
    rewrite(adversarial_run / "calibration.json", weights="of an earlier epoch")
    words = " ".join(_Tags(_page(adversarial_run)).words.split())
    assert _figures(adversarial_run) == ALL
    assert "calibration.json is about another model than the one that is there now" in words
    assert "To write it: tightbound fit" in words


def test_non_finite_records_are_called_so(full_run, evaluated, rewrite, write_lines):
    nan, inf = float("nan"), float("inf")
    seed = {"log_evidence_mean": None, "stderr_mean_mc": None, "bound_by_k": {"1": None}}
    khat = {"khat": np.full((2, 3), np.nan, np.float32)}
    numbers = {"mean": None, "interval": [None, None], "seeds": [seed, seed], "k": None}
    rewrite(evaluated, arrays=khat, **numbers)
    layer = {"name": "h1", "variance": [nan, inf, 0.0], "kl": [nan, 0.1, inf], "spectrum": [nan]}
    rewrite(full_run / "units.json", layers=[layer])
    write_lines(full_run / "metrics.jsonl", [{"epoch": 3, "train_bound": [nan, inf]}])
    told = [{"epoch": 3, "train_bound": ["nan", "inf"]}]
    rewrite(full_run / "model.safetensors", history=told, epochs_run=1)
    samples = {"samples": np.full((2, 64), np.nan, np.float32)}
    rewrite(full_run / "pictures.safetensors", arrays=samples)
    words = " ".join(_Tags(_page(full_run)).words.split())
    assert "Test log-likelihoodnot finite nats per item[not finite, not finite]" in words
    assert "metrics.jsonl holds too little, so there is no figure of: learning curve" in words
    assert not re.search(r"\bnan\b|\binf\b", words)


def test_empty_objects_are_as_good_as_missing(blank_charts, full_run):
    weights = read_record(full_run / "units.json", "units")["weights"]
    write_record(full_run / "run.json", "run", {})
    write_record(full_run / "units.json", "units", {"weights": weights})
    words = " ".join(_Tags(_page(full_run)).words.split())
    assert "not evaluated" in words
    assert "units.json holds too little" in words


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("trust", "good"),
        ("more draws", "warn"),
        ("do not trust", "bad"),
        # As records of before have it.
        ("raise k", "warn"),
        ("use AIS", "bad"),
        ("trust me", "warn"),
    ],
)
def test_only_plain_trust_is_green(verdict, expected):
    assert tone(verdict) == expected
