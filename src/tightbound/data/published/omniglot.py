"""OMNIGLOT at 28x28, grey: the file of the IWAE experiments, or a stand-in with other pixels.

Reference: Lake, Salakhutdinov & Tenenbaum 2015; Burda, Grosse & Salakhutdinov 2015,
arXiv 1509.00519, whose code shuffles the training part once and holds out 1,345.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.check import check_values
from tightbound.data.dataset import Dataset
from tightbound.data.published.file import Fetched, File, sha256
from tightbound.data.published.lookup import Published
from tightbound.data.published.matlab import read_matlab, upright
from tightbound.data.splits import HoldOut, hold_out

SPLITS = {"omniglot": ("iwae",)}
_SIDE = 28
_SEED = 123
_RULE = HoldOut(
    f"training part of {{n}} shuffled once (NumPy's RandomState({_SEED}).permutation, as in the "
    "code of Burda et al. 2015), its last {validation} are validation, {train} are trained on",
    held_out=Fraction(1_345, 24_345),
    seed=_SEED,
)
_STANDIN = "ddaa364ef429f4334a6e56cf287d8fccdd6ac92e14c7ce79203821fb8dd408dd"
_CANONICAL_MD5 = "21ecaf34373511aa7691cf2e0802aa3d"


def _read(split: str, files: list[Fetched]) -> Dataset:
    (file,) = files
    arrays = read_matlab(
        file.content,
        {"data": (_SIDE**2, -1), "testdata": (_SIDE**2, -1)},
        file.where,
        optional=("targetchar", "testtargetchar"),
    )
    published, test = (_grey(arrays[key], f"{file.where}: {key}") for key in ("data", "testdata"))
    parts = hold_out(_RULE, len(published))
    labels = {}
    if "targetchar" in arrays and "testtargetchar" in arrays:
        target, labels["test"] = (arrays[k].ravel() for k in ("targetchar", "testtargetchar"))
        if (len(target), len(labels["test"])) != (len(published), len(test)):
            raise UsageError(f"{file.where}: expected one label for each image")
        labels |= {"train": target[parts.train], "validation": target[parts.validation]}
    standin = "standin" in Path(file.where).name or sha256(file.content) == _STANDIN
    return Dataset(
        name="omniglot (stand-in)" if standin else "omniglot",
        train=published[parts.train],
        validation=published[parts.validation],
        test=test,
        shape=(_SIDE, _SIDE),
        units="grey",
        split=f"{split}: {parts.words}, the {len(test):,} test items as published",
        checksum=file.checksum,
        labels=labels,
        notes=(
            "stroke is high, labels are the file's targetchar",
            *(("other pixels, other split: no match for published numbers",) if standin else ()),
        ),
    )


def _grey(columns: np.ndarray, what: str) -> np.ndarray:
    values = upright(columns.T.astype(np.float32), _SIDE, _SIDE)
    check_values(values, "unit", what)
    return values


OMNIGLOT = Published(
    name="omniglot",
    description="24,345 + 8,070 handwritten characters of 50 alphabets, 28x28, grey",
    splits=SPLITS["omniglot"],
    likelihood="bernoulli (binarised)",
    read=_read,
    files=(
        File(
            "chardata.mat",
            "https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/chardata.mat",
            (_CANONICAL_MD5, _STANDIN),
            also=("chardata_standin.mat",),
        ),
    ),
)
