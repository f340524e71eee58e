"""Odd arguments through the real command line: status 2 and one line, or valid; nothing written."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any, NoReturn
from unittest import mock

import numpy as np

from tests.faults.commands import called, changed, files
from tests.faults.core import Attempt, Result
from tests.faults.workplace import FLAGS, workplace
from tightbound.cli import COMMANDS
from tightbound.cli.fit import WORDS
from tightbound.core.errors import UsageError

OPTIONS = {
    "fit": [*(f"--{name.replace('_', '-')}" for name in WORDS), "--name", "--preset", "--config"],
    "evaluate": [
        "--k",
        "--budget",
        "--bounds-at",
        "--key",
        "--split",
        "--data",
        "--limit",
        "--temperatures",
        "--chains",
        "--out",
    ],
    "sample": ["--n", "--key", "--given", "--k", "--out"],
    "reconstruct": ["--limit", "--out"],
    "inpaint": ["--mask", "--limit", "--draws", "--k", "--key", "--out", "--items"],
    "denoise": ["--noise", "--limit", "--draws", "--k", "--key", "--out", "--items"],
    "super-resolve": ["--factor", "--limit", "--draws", "--k", "--key", "--out", "--items"],
    "impute": ["--out", "--draws", "--cells", "--interval", "--k", "--header"],
    "score": ["--limit", "--k", "--blame", "--key", "--picture", "--out"],
    "classify": ["--limit", "--k", "--key", "--out"],
    "embed": ["--limit", "--k", "--draws", "--key", "--map", "--out"],
    "interpolate": ["--between", "--steps", "--path", "--k", "--key", "--out"],
    "report": [],
    "datasets": [],
    "objectives": [],
}
PLACES = {
    "fit": ["table.npy"],
    "evaluate": ["r"],
    "sample": ["r"],
    "reconstruct": ["r", "new.npy"],
    "inpaint": ["r", "new.npy", "--mask", "random 50%"],
    "denoise": ["r", "new.npy", "--noise", "0.1"],
    "super-resolve": ["r", "new.npy", "--degrade"],
    "impute": ["r", "new.npy"],
    "score": ["r", "new.npy"],
    "classify": ["r", "new.npy"],
    "embed": ["r", "new.npy"],
    "interpolate": ["r", "new.npy"],
    "report": ["r"],
}
"""What stands before the options of a command, where it works."""
NUMBERS = """0 -0 1 -1 2 3 0.5 -0.5 1e3 1e-300 1e400 -1e400 nan inf -inf NaN Infinity 1_000 0x10 010
    +5 1. .5 1e 2147483647 2147483648 4294967295 4294967296 1180591620717411303424 ٣ ½ ² １２ 1,2
    1,,2 2,3 ;3 3;3 True None""".split()
TEXTS = [
    *(
        "",
        " ",
        "\n",
        "\t",
        "-",
        "--",
        "---",
        "-h-",
        "=",
        "a=b",
        "..",
        ".",
        "/",
        "//",
        "~",
        "*",
        "?",
    ),
    *("a\nb", "a\x1b[31mb", "a\x00b".replace("\0", "\x01"), "\u202ex", "é", "名前", "🙂", "\udcff"),
    *("a" * 300, "é" * 150, "a/" * 300, "../../x", "/etc/passwd", "/dev/null", "/dev/zero"),
    *("/proc/self/mem", "table.npy", "new.npy", "runs/r/run.json", "runs", "none.npy", "x.csv"),
    *("x.npy", "x.PNG", "none/x.csv", "runs/r/x.csv", "{}", "%s", "%(prog)s", "$HOME", "`id`"),
    *(
        "digits",
        "mnist ",
        "DIGITS",
        "iwae",
        "aevb",
        "normal",
        "adam",
        "adam()",
        "sgd",
        "adam(b1=2)",
    ),
    *("all", "gaussian", "mixture,deep", "all,deep", "deep,deep", "gaussian,", ",", "Gaussian"),
    *("adam(b1='x')", "adam(learning_rate=1)", "fixed:3", "fixed:", "fixed:-1", "dynamic", "none"),
]
CALLS = [
    *("iwae(", "iwae)", "iwae()", "iwae(k=0)", "iwae(k=-1)", "iwae(k=1.5)", "iwae(k=True)"),
    *("iwae(k=1e400)", "iwae(k=10**9)", "iwae(k=2147483648)", "iwae(k=2, k=3)", "iwae(2, k=3)"),
    *("iwae(k='a')", "iwae(gradient=3)", "iwae(**{})", "iwae(*[1])", "iwae(k=[])", "iwae(k=())"),
    *("vr(alpha='x')", "vr(alpha=nan)", "vr(alpha=-inf)", "vr(alpha=inf)", "vr(alpha=1)", "vr()"),
    *("elbo(samples=0)", "elbo(estimator='C')", "elbo().x", "elbo()()", "elbo;elbo", "lambda: 0"),
    *("jvi(k=8, order=9)", "jvi(k=8, order=-1)", "piwae(m=0, k=0)", "miwae()", "ciwae(beta=2)"),
    *("schedule([])", "schedule(elbo())", "combined()", "full_vb(iwae())", "map_estimate()"),
    *(
        "sivi(k=-1)",
        "iwae(k=2)#",
        "iwae(k=\n2)",
        "\\",
        "'",
        '"',
        "f'{1}'",
        "b'x'",
        "1",
        "None",
        "...",
    ),
    "iwae(k=" + "(" * 3000 + "1" + ")" * 3000 + ")",
    "iwae(k=" + "-" * 3000 + "1)",
    "iwae(k=" + "[" * 90 + "]" * 90 + ")",
    "full_vb(" * 300 + "elbo()" + ")" * 300,
    "iwae(k=" + "9" * 5000 + ")",
    "iwae(" + ",".join(f"a{i}=1" for i in range(300)) + ")",
    "~" * 2000 + "1",
    "a." * 3000 + "b",
    "1+" * 3000 + "1",
]
OF_CALLS = ("--objective", "--gradient", "--optimizer", "--estimator")


class _Reached(UsageError):
    """All checks have passed, and the work would begin."""


def _reached(*arguments: Any, **options: Any) -> NoReturn:
    raise _Reached("reached")


@contextlib.contextmanager
def arguments() -> Iterator[Attempt]:
    """Calls commands with one to four odd arguments; what is valid ends where work would begin."""
    with (
        workplace() as place,
        mock.patch("tightbound.runs.fitting.build", _reached),
        mock.patch("tightbound.runs.choosing.fit_table", _reached),
        mock.patch("tightbound.runs.evaluation.evaluate", _reached),
        mock.patch("tightbound.runs.per_datum", _reached),
        mock.patch("tightbound.runs.reconstruct_data", _reached),
        mock.patch("tightbound.runs.score_data", _reached),
        mock.patch("tightbound.runs.embed_data", _reached),
        mock.patch("tightbound.runs.interpolate_rows", _reached),
        mock.patch("tightbound.runs.restoring.inpaint", _reached),
        mock.patch("tightbound.runs.restoring.denoise", _reached),
        mock.patch("tightbound.runs.restoring.super_resolve", _reached),
        mock.patch("tightbound.runs.sample_chunks", _reached),
        mock.patch("tightbound.runs.conditional_rows", _reached),
        mock.patch("tightbound.data.published.download.get", _reached),
    ):

        def attempt(number: int, rng: np.random.Generator) -> Result:
            command, words = _words(rng)
            said = called(command, *words)
            shown = f"{' '.join(ascii(word)[:80] for word in (command, *words))}: {said}"
            written = changed(place.whole, files(place.root))
            written = [name for name in written if not name.endswith((".lock", ".html", ".png"))]
            if written:
                place.restore()
            if said.status == 0:  # help, lists, reports, and what has been answered already
                well = not said.err and not said.fault and bool(said.out)
                if well and "--json" in words and "--help" not in words and "-h" not in words:
                    well = said.out.count("\n") == 1 and json.loads(said.out) is not None
            else:
                well = said.refused
            return Result(command[:20] or "none", well and not written, f"{shown}, wrote {written}")

        yield attempt


def _words(rng: np.random.Generator) -> tuple[str, list[str]]:
    """A command and its arguments, most of them right but for one."""
    if rng.random() < 0.03:
        return str(rng.choice(["", *TEXTS])), [str(rng.choice(TEXTS))]
    command = str(rng.choice(list(OPTIONS), p=_weights()))
    words = list(PLACES.get(command, []))
    if words and rng.random() < 0.15:
        words[int(rng.integers(len(words)))] = _value(rng, "")
    if command == "fit" and rng.random() < 0.7:
        words += [str(word) for word in FLAGS]
    for _ in range(int(rng.integers(1, 4))):
        words += _odd(rng, command)
    return command, words


def _weights() -> list[float]:
    counts = np.array([len(options) + 1.0 for options in OPTIONS.values()])
    return list(counts / counts.sum())


def _odd(rng: np.random.Generator, command: str) -> list[str]:
    """An option with a value, one without, or neither."""
    kind = rng.random()
    option = str(rng.choice(OPTIONS[command] or ["--none"]))
    if kind < 0.75:
        value = _value(rng, option)
        return [f"{option}={value}"] if rng.random() < 0.2 else [option, value]
    if kind < 0.85:
        flags = ["--json", "--help", "-h", "--resume", "--overwrite", "--version", "-x", "--jso"]
        return [str(rng.choice(flags))]
    if kind < 0.92:
        return [option]
    return [str(rng.choice([*TEXTS, *NUMBERS, f"{option}x", option[:-1], option.upper()]))]


def _value(rng: np.random.Generator, option: str) -> str:
    if option in OF_CALLS and rng.random() < 0.6:
        return str(rng.choice(CALLS))
    pool = rng.random()
    if pool < 0.5:
        return str(rng.choice(NUMBERS))
    if pool < 0.85:
        return str(rng.choice(TEXTS))
    letters = [chr(int(code)) for code in rng.integers(1, 0x2FF, size=int(rng.integers(1, 9)))]
    return "".join(letters)


assert set(OPTIONS) | {"doctor"} == set(COMMANDS)
