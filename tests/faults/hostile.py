"""Files, names and links that are made to harm: refused in one line, and nothing is touched."""

import contextlib
import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.faults.commands import Said, called, changed, files
from tests.faults.core import Attempt, Result
from tests.faults.damage import remove
from tests.faults.workplace import FLAGS, RUN, UNFINISHED, put, workplace

OUTSIDE = "outside"
"""A folder beside the runs, which nothing may change."""
NAMES = [
    *(
        "n" * 300,
        "é" * 200,
        "a\nb",
        "a\x1b[2J",
        "a\rb",
        "a\tb",
        " ",
        "  a ",
        "-",
        "--",
        "-x",
        "--help",
    ),
    *(
        "..",
        ".",
        "../x",
        "../../x",
        "/x",
        "a/../../x",
        "a/b",
        "\udcff\udcfe",
        "a\u202eb",
        "a\u2028b",
    ),
    *(
        "con",
        "nul",
        "a:b",
        "a*b",
        "$(touch x)",
        "`touch x`",
        "{}",
        "%s%s%n",
        "a'b\"c",
        "<b>x</b>",
        "|",
    ),
    *("runs", "r", "r/", "./r", "r/.", "r/..", "r/evaluations", "config.toml", ".lock", ".hidden"),
]


class Trap(NamedTuple):
    """Something hostile, made in the working directory, and the command that meets it."""

    kind: str
    make: Callable[[np.random.Generator], tuple[object, ...]]


def _zip(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names that come twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def _npy(shape: object, descr: str = "<f4", body: bytes = bytes(24)) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + body


def _fit(path: object) -> tuple[object, ...]:
    return ("fit", path, *FLAGS, "--name", "new")


def _reads(rng: np.random.Generator, path: object) -> tuple[object, ...]:
    """One of the commands that read data."""
    commands = (_fit(path), ("reconstruct", "r", path), ("evaluate", "r", "--k", 5, "--data", path))
    return commands[int(rng.integers(3))]


def _archive(rng: np.random.Generator) -> tuple[object, ...]:
    zeros = _npy((2**27, 1), body=bytes(2**29)) if rng.random() < 0.1 else bytes(2**24)
    good = _npy((2, 3))
    up = "../" * int(rng.integers(1, 6))
    choices = [
        [("x.npy", zeros)] * int(rng.integers(1, 4)),
        [(f"{up}{OUTSIDE}/x.npy", _npy((30, 3), body=bytes(360))), ("x.npy", b"no array")],
        [(f"/{OUTSIDE}/x.npy", good), ("\x1b[2J.npy", good)],
        [(f"{i}.npy", good) for i in range(int(rng.integers(2, 3000)))],
        [("x.npy", _zip([("x.npy", good)] * 2))],
        [("n" * 60000 + ".npy", good), ("", good)],
        [("x.npy", good[: int(rng.integers(len(good)))])],
    ]
    content = _zip(choices[int(rng.integers(len(choices)))])
    Path("trap.npz").write_bytes(content)
    return _reads(rng, "trap.npz")


def _header(rng: np.random.Generator) -> tuple[object, ...]:
    sizes = (3, 0, -3, 2**31, 2**40, 2**62, 2**63, 10**30, 3.0, True, "a", None)
    count = int(rng.integers(0, 5)) if rng.random() < 0.9 else 5000
    shape: object = tuple(sizes[int(i)] for i in rng.integers(len(sizes), size=count))
    descr = str(
        rng.choice(["<f4", "<f8", "|O", "|V8", "<U99", "<q9", "<M8[s]", "|S0", "<c16", ">f2"])
    )
    Path("trap.npy").write_bytes(_npy(shape, descr, bytes(int(rng.integers(0, 400)))))
    return _reads(rng, "trap.npy")


def _picture(rng: np.random.Generator) -> tuple[object, ...]:
    """Pictures that announce what they do not hold, or are links to what never ends."""
    Path("folder").mkdir()
    for number in range(3):
        image = Image.fromarray(np.full((4, 4), number, np.uint8))
        image.save(f"folder/{number}.png")
    sizes = struct.pack(">II", int(rng.choice([0, 65535, 2**31 - 1])), int(rng.choice([1, 2**30])))
    content = Path("folder/1.png").read_bytes()
    trap = Path("folder/2.png")
    trap.unlink()
    kind = int(rng.integers(4))
    if kind == 0:
        trap.write_bytes(content[:16] + sizes + content[24:])
    elif kind == 1:
        trap.symlink_to("/dev/zero")
    elif kind == 2:
        os.mkfifo(trap)
    else:
        trap.symlink_to("2.png")
    return _reads(rng, "folder")


def _text(rng: np.random.Generator) -> tuple[object, ...]:
    lines = [
        "1," * 200_000,
        "a,b,c\n" + "1,2,3\n" * 30 + "1,2," + "9" * 5000,
        "a,b,c\n" + "1,1e400,3\n" * 30,
        '"' * 99_999,
        "a,a,a\n" + "1,2,3\n" * 30,
        "\ufeff" * 1000,
        "a,b\x1b[2J,c\n" + "1,x,3\n" * 30,
        "=cmd|x!A1,2,3\n" * 30,
        "\0" * 3000,
    ]
    suffix = str(rng.choice([".csv", ".txt", ".tsv", ".data"]))
    Path(f"trap{suffix}").write_text(lines[int(rng.integers(len(lines)))], encoding="utf-8")
    return _reads(rng, f"trap{suffix}")


def _endless(rng: np.random.Generator) -> tuple[object, ...]:
    """Data, settings or a run that are a pipe, a device or a circle."""
    name = str(rng.choice(["trap.npy", "trap.npz", "trap.csv", "trap.toml", "trap"]))
    kind = int(rng.integers(4))
    if kind == 0:
        os.mkfifo(name)
    else:
        Path(name).symlink_to(("/dev/zero", name, "/proc/self/fd")[kind - 1])
    if rng.random() < 0.25:
        return "fit", "table.npy", "--config", name
    if rng.random() < 0.2:
        return str(rng.choice(["report", "evaluate", "sample"])), name
    return _reads(rng, name)


def _linked(rng: np.random.Generator) -> tuple[object, ...]:
    """Files and folders of a run that are links to others."""
    run = (RUN, UNFINISHED)[int(rng.integers(2))]
    found = sorted(run.rglob("*"))
    if rng.random() < 0.5:
        found = [path for path in found if path.is_dir() or path.name.startswith(".")]
    found += [run / "samples.npy", run / "reconstructions.npy"]
    path = found[int(rng.integers(len(found)))]
    target = f"{OUTSIDE}/{rng.choice(['file', 'folder', 'none'])}"
    if path.name in (".lock", ".report.lock") or path.is_dir() or rng.random() < 0.5:
        remove(path)
        path.symlink_to(Path(target).resolve())
    name = run.name
    commands = (
        ("report", name),
        ("evaluate", name, "--k", 10, "--overwrite"),
        ("sample", name, "--n", 3),
        ("reconstruct", name, "new.npy"),
        ("fit", "--resume", "--name", name, "--json"),
    )
    return commands[int(rng.integers(len(commands)))]


def _named(rng: np.random.Generator) -> tuple[object, ...]:
    """Names of runs and files that are no good ones."""
    name = NAMES[int(rng.integers(len(NAMES)))]
    commands = (
        ("report", name),
        ("evaluate", name, "--k", 10),
        ("sample", "r", "--n", 3, "--out", f"{name}.npy"),
        ("reconstruct", "r", f"{name}.npy"),
        ("fit", "--resume", "--name", name),
        ("fit", f"{name}.csv", "--name", "new"),
        ("fit", "table.npy", *FLAGS, "--epochs", 10**6, "--batch-size", 10**6, "--name", name),
    )
    return commands[int(rng.integers(len(commands)))]


def _real_name(rng: np.random.Generator) -> tuple[object, ...]:
    """Data and runs that really have such a name."""
    names = [name for name in NAMES if "/" not in name and len(os.fsencode(name)) < 200]
    name = names[int(rng.integers(len(names)))]
    if rng.random() < 0.5:
        Path(f"{name}.npy").write_bytes(Path("new.npy").read_bytes())
        return "reconstruct", "r", f"./{name}.npy"
    if not (place := Path("runs") / name).exists():
        put(place.resolve(), {})
        place.mkdir()
        put(place, files(RUN))
    return str(rng.choice(["report", "sample"])), f"runs/{name}"


TRAPS = (
    *(Trap("archives", _archive), Trap("headers", _header), Trap("pictures", _picture)),
    *(Trap("texts", _text), Trap("endless", _endless), Trap("links", _linked)),
    *(Trap("names", _named), Trap("real names", _real_name)),
)


@contextlib.contextmanager
def hostile() -> Iterator[Attempt]:
    """Sets one trap, calls a command that meets it, and looks at all files."""
    with workplace() as place:
        Path(OUTSIDE, "folder").mkdir(parents=True)
        for name in ("file", "folder/file", "folder/.torn.0a.part", "folder/khat.png"):
            Path(OUTSIDE, name).write_bytes(b"of the user")
        place.whole = files(place.root)

        def attempt(number: int, rng: np.random.Generator) -> Result:
            trap = TRAPS[number % len(TRAPS)]
            arguments = trap.make(rng)
            before = files(place.root)
            said = called(*arguments)
            wrong = _wrong(trap.kind, said, changed(before, files(place.root)), arguments)
            place.restore()
            shown = " ".join(ascii(str(word))[:60] for word in arguments)
            return Result(trap.kind, not wrong, f"{shown}: {said}; {wrong}")

        yield attempt


def _wrong(kind: str, said: Said, written: list[str], arguments: tuple[object, ...]) -> str:
    """What is wrong with how a command ended; empty if nothing."""
    if any(name.startswith(OUTSIDE) for name in written):
        return f"wrote outside: {written}"
    if said.status:
        if not said.refused:
            return "no clear line"
        harmless = (".lock", ".report.lock", "/", ".png", ".html")
        written = [name for name in written if not name.endswith(harmless)]
        late = arguments[0] in ("fit", "evaluate")  # which may have done their work before
        return f"wrote {written}" if written and not (late and kind == "links") else ""
    if said.err or said.fault or not said.out:
        return "no clear end"
    steering = [letter for letter in said.out if not letter.isprintable() and letter != "\n"]
    return f"prints {steering}" if steering else ""
