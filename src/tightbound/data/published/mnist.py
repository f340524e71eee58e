"""MNIST and Fashion-MNIST: 70,000 grey images of 28x28 in four IDX files of the same names.

Reference: LeCun, Bottou, Bengio & Haffner 1998; Xiao, Rasul & Vollgraf 2017, arXiv 1708.07747
(Fashion-MNIST, MIT licence).
"""

import functools
from fractions import Fraction

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.dataset import UNVERIFIED, Dataset
from tightbound.data.published.file import Fetched, File
from tightbound.data.published.idx import read_idx
from tightbound.data.published.lookup import Published, combined
from tightbound.data.splits import HoldOut, hold_out

_SHAPE = (28, 28)
_PUBLISHED = 60_000  # items of the training part as published
_LAST_SIXTH = HoldOut(
    "last {validation} of the {n} training items are validation, {train} are trained on",
    held_out=Fraction(10_000, _PUBLISHED),
)
SPLITS = {
    "mnist": ("default", "iwae", "aevb", "aevb-1000"),
    "fashion_mnist": ("default",),
}
_SPLITS = {
    "default": _LAST_SIXTH,
    "iwae": _LAST_SIXTH._replace(held_out=Fraction(400, _PUBLISHED)),
    "aevb": _LAST_SIXTH,
    "aevb-1000": HoldOut(
        "first {train} of the {n} training items are trained on, last {validation} are validation",
        held_out=Fraction(10_000, _PUBLISHED),
        used=Fraction(1_000, _PUBLISHED),
    ),
}


def _read(name: str, split: str, files: list[Fetched]) -> Dataset:
    images, labels = {}, {}
    for part, image_file, label_file in (("train", *files[:2]), ("test", *files[2:])):
        images[part] = read_idx(image_file.content, _SHAPE, image_file.where)
        labels[part] = read_idx(label_file.content, (), label_file.where)
        if len(images[part]) != len(labels[part]):
            raise UsageError(
                f"{label_file.where}: expected a label for each of the {len(images[part]):,} "
                f"images, got {len(labels[part]):,}"
            )
    published = _grey(images["train"])
    parts = hold_out(_SPLITS[split], len(published))
    test = _grey(images["test"])
    checksum = combined(files)
    unverified = ("not compared with the published checksums",) if checksum == UNVERIFIED else ()
    return Dataset(
        name=name,
        train=published[parts.train],
        validation=published[parts.validation],
        test=test,
        shape=_SHAPE,
        units="grey",
        split=f"{split}: {parts.words}, the {len(test):,} test items as published",
        checksum=checksum,
        labels={
            "train": labels["train"][parts.train],
            "validation": labels["train"][parts.validation],
            "test": labels["test"],
        },
        notes=("values are bytes / 255, the figure is high", *unverified),
    )


def _grey(images: np.ndarray) -> np.ndarray:
    values = images.reshape(len(images), -1).astype(np.float32)
    values /= np.float32(255)
    return values


def _source(
    name: str, description: str, base: str, splits: tuple[str, ...], digests: list[tuple[str, str]]
) -> Published:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = [
        File(f"{file}-ubyte.gz", f"{base}/{file}-ubyte.gz", (packed,), plain)
        for file, (packed, plain) in zip(names, digests, strict=True)
    ]
    return Published(
        name=name,
        description=description,
        splits=splits,
        likelihood="bernoulli (binarised)",
        read=functools.partial(_read, name),
        files=tuple(files),
    )


MNIST = _source(
    "mnist",
    "60,000 + 10,000 handwritten digits, 28x28, grey",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    SPLITS["mnist"],
    [  # of each file as published, and of its content
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ],
)

FASHION_MNIST = _source(
    "fashion_mnist",
    "60,000 + 10,000 pieces of clothing, 28x28, grey",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    SPLITS["fashion_mnist"],
    [  # of each file as published; of its content none is known
        ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", ""),
        ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", ""),
        ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", ""),
        ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", ""),
    ],
)
