"""A part of one's own is one file, and one line in the cases: shown in a copy of the project."""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tightbound

ROOT = Path(__file__).parents[2]
FOLDERS = {"src/tightbound": Path(tightbound.__file__).parent, "tests": ROOT / "tests"}
"""Where the project's folders are: the package may be an installed one."""
PARTS = {
    "src/tightbound/bounds/halfway.py": ("CASES = {", '"halfway": Case("Halfway", {"k": K}),'),
    "src/tightbound/objectives/multisample/twice.py": (
        "CASES = {",
        '"twice": Case("twice", {"k": 3, "gradient": "reparameterized"}, reference="iwae-6"),',
    ),
    "src/tightbound/likelihoods/geometric.py": (
        "LIKELIHOODS = {",
        '"geometric": lambda u: np.floor(4 * u),',
    ),
    "src/tightbound/networks/upsampling.py": (
        "NETWORKS = {",
        '"upsampling": lambda key: networks.Whole(networks.Upsampling.of(2, key=key)),',
    ),
    "src/tightbound/data/published/counted.py": ("SOURCES = (", '"counted",'),
    "src/tightbound/evidence/importance/halved.py": ("ESTIMATORS = {", '"Halved": {"k": 200},'),
}
"""Each file of `tests/scratch/`, where it goes, and its line in `tests/cases.py` with its place."""


def added(folder):
    """A copy of the project with all parts in it."""
    for name, there in FOLDERS.items():
        shutil.copytree(there, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    cases = folder / "tests" / "cases.py"
    for target, (place, line) in PARTS.items():
        shutil.copy(ROOT / "tests" / "scratch" / Path(target).name, folder / target)
        before, after = cases.read_text().split(f"\n{place}\n")
        cases.write_text(f"{before}\n{place}\n    {line}\n{after}")


def differences(one, two, place=Path()):
    """Paths that differ between two folders, or that only one of them has."""
    found = filecmp.dircmp(one, two, ignore=["__pycache__"])
    _, unequal, odd = filecmp.cmpfiles(one, two, found.common_files, shallow=False)
    names = {str(place / name) for name in (*found.left_only, *found.right_only, *unequal, *odd)}
    inner = (differences(one / n, two / n, place / n) for n in found.common_dirs)
    return names.union(*inner)


def test_nothing_else_is_edited(tmp_path):
    added(tmp_path)
    found = {
        f"{name}/{path}"
        for name, there in FOLDERS.items()
        for path in differences(there, tmp_path / name)
    }
    assert found == {*PARTS, "tests/cases.py"}
    before = (ROOT / "tests" / "cases.py").read_text().splitlines()
    after = (tmp_path / "tests" / "cases.py").read_text().splitlines()
    lines = [f"    {line}" for _, line in PARTS.values()]
    assert len(after) == len(before) + len(PARTS)
    assert [line for line in after if line not in lines] == before


@pytest.mark.slow
def test_parts_of_ones_own_are_found_used_and_held_to_the_laws(tmp_path):
    added(tmp_path)
    laws = [
        "test_completeness.py",
        "bounds/test_bounds.py",
        "laws/test_parts.py",
        "cli/test_names.py",
    ]
    laws.append("evidence/test_by.py")
    parts = ("halfway", "Halfway", "twice", "geometric", "upsampling", "counted", "Halved")
    names = " or ".join((*parts, "own", "every_part"))
    tests = [f"tests/{law}" for law in (*laws, "scratch/use.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", names, *tests]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
