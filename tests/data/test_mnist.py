import gzip
import hashlib
import re

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def grey(images):
    return (images.reshape(len(images), -1) / 255).astype(np.float32)


def load(folder, name="mnist", **options):
    return data.load(name, path=folder, verify=False, **options)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_values_labels_and_split(tmp_path, tiny_mnist, write_all, name):
    train, test, packed = tiny_mnist
    ds = load(write_all(tmp_path, packed), name)
    assert (ds.name, ds.shape, ds.units) == (name, (28, 28), "grey")
    np.testing.assert_array_equal(ds.train, grey(train[:10]))
    np.testing.assert_array_equal(ds.validation, grey(train[10:]))
    np.testing.assert_array_equal(ds.test, grey(test))
    assert ds.labels["train"].tolist() == list(range(10))
    assert ds.labels["validation"].tolist() == [0, 1]
    assert ds.labels["test"].tolist() == [7, 2, 1]
    assert ds.checksum == "unverified"
    assert ds.split == (
        "default: last 2 of the 12 training items are validation, 10 are trained on, "
        "the 3 test items as published"
    )


@pytest.mark.parametrize(
    ("split", "train", "validation"),
    [
        ("default", (0, 500), (500, 600)),
        ("iwae", (0, 596), (596, 600)),
        ("aevb", (0, 500), (500, 600)),
        ("aevb-1000", (0, 10), (500, 600)),
    ],
)
def test_splits_take_the_published_shares(
    tmp_path, tiny_mnist, write_all, idx, split, train, validation
):
    images = np.zeros((600, 28, 28))
    images[:, 3, 4], images[:, 3, 5] = np.divmod(np.arange(600), 256)
    _, _, packed = tiny_mnist
    packed[f"{IMAGES}.gz"] = gzip.compress(idx(images))
    packed[f"{LABELS}.gz"] = gzip.compress(idx(np.zeros(600)))
    ds = load(write_all(tmp_path, packed), split=split)

    def numbers(x):
        pixels = np.rint(x.reshape(-1, 28, 28)[:, 3, 4:6] * 255)
        return (pixels @ [256, 1]).tolist()

    assert numbers(ds.train) == list(range(*train))
    assert numbers(ds.validation) == list(range(*validation))
    assert ds.split.startswith(f"{split}: ")


def test_fashion_has_no_split_of_a_paper(tmp_path, tiny_mnist, write_all):
    folder = write_all(tmp_path, tiny_mnist[2])
    with pytest.raises(UsageError, match="split of fashion_mnist to be one of default, got 'aevb'"):
        load(folder, "fashion_mnist", split="aevb")


def test_checksum_combines_the_four(tmp_path, tiny_mnist, write_all, publish):
    _, _, packed = tiny_mnist
    sums = [hashlib.sha256(content).hexdigest() for content in packed.values()]
    publish("mnist", *({"digests": (digest,)} for digest in sums))
    ds = data.load("mnist", path=write_all(tmp_path, packed))
    assert ds.checksum == hashlib.sha256("".join(sums).encode()).hexdigest()


def test_wrong_checksum_shows_both_and_keeps_the_file(tmp_path, tiny_mnist, write_all):
    _, _, packed = tiny_mnist
    folder = write_all(tmp_path, packed)
    got = hashlib.sha256(packed[f"{IMAGES}.gz"]).hexdigest()
    expected = "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    with pytest.raises(UsageError, match=f"expected sha256 {expected}, got sha256 {got}") as error:
        data.load("mnist", path=folder)
    assert "\n" not in str(error.value)
    assert (folder / f"{IMAGES}.gz").read_bytes() == packed[f"{IMAGES}.gz"]


def test_mnist_is_not_taken_for_fashion(tmp_path, tiny_mnist, write_all, publish):
    _, _, packed = tiny_mnist
    sums = [hashlib.sha256(content).hexdigest() for content in packed.values()]
    publish("mnist", *({"digests": (digest,)} for digest in sums))
    with pytest.raises(UsageError, match="another file"):
        data.load("fashion_mnist", path=write_all(tmp_path, packed))


def test_unpacked_files_carry_the_checksum_of_the_packed(tmp_path, tiny_mnist, write_all, publish):
    _, _, packed = tiny_mnist
    plain = {name.removesuffix(".gz"): gzip.decompress(c) for name, c in packed.items()}
    changes = [
        {"digests": (hashlib.sha256(a).hexdigest(),), "plain": hashlib.sha256(b).hexdigest()}
        for a, b in zip(packed.values(), plain.values(), strict=True)
    ]
    publish("mnist", *changes)
    one = data.load("mnist", path=write_all(tmp_path / "packed", packed))
    two = data.load("mnist", path=write_all(tmp_path / "plain", plain))
    np.testing.assert_array_equal(one.train, two.train)
    assert one.checksum == two.checksum != "unverified"
    (tmp_path / "plain" / LABELS).write_bytes(plain[LABELS][:-1] + b"\x09")
    with pytest.raises(UsageError, match="expected sha256 .*, got sha256 "):
        data.load("mnist", path=tmp_path / "plain")


def test_unpacked_without_known_digest_is_unverified(tmp_path, tiny_mnist, write_all):
    train, _, packed = tiny_mnist
    plain = {name.removesuffix(".gz"): gzip.decompress(c) for name, c in packed.items()}
    ds = data.load("fashion_mnist", path=write_all(tmp_path, plain))
    np.testing.assert_array_equal(ds.train, grey(train[:10]))
    assert ds.checksum == "unverified"
    assert "not compared with the published checksums" in ds.notes[1]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda c: b"\x00\x00\x08\x01" + c[4:],
            "expected the IDX magic number 00 00 08 03, got 00 00 08 01",
        ),
        (lambda c: c[:3], "got 00 00 08"),
        (lambda c: c[:9], "expected a header of 16 bytes, got 9"),
        (lambda c: c[:-1], "the header announces 9,424 bytes, got 9,423"),
        (lambda c: c + b"\x00", "the header announces 9,424 bytes, got 9,425"),
        (lambda c: c[:4] + b"\x00\x00\x00\x0d" + c[8:], "the header announces 10,208 bytes"),
        (lambda c: c[:4] + b"\x00\x00\x00\x00" + c[8:], "expected sizes (n, *(28, 28)) with n > 0"),
        (lambda c: c[:8] + b"\x00\x00\x00\x0e\x00\x00\x00\x38" + c[16:], "got (12, 14, 56)"),
    ],
)
def test_idx_is_parsed_strictly(tmp_path, tiny_mnist, write_all, damage, message):
    _, _, packed = tiny_mnist
    packed[f"{IMAGES}.gz"] = gzip.compress(damage(gzip.decompress(packed[f"{IMAGES}.gz"])))
    with pytest.raises(UsageError, match=re.escape(message)):
        load(write_all(tmp_path, packed))


def test_truncated_gzip(tmp_path, tiny_mnist, write_all):
    _, _, packed = tiny_mnist
    packed[f"{IMAGES}.gz"] = packed[f"{IMAGES}.gz"][:-500]
    with pytest.raises(UsageError, match="train-images.*damaged or incomplete gzip data"):
        load(write_all(tmp_path, packed))


def test_damaged_gzip(tmp_path, tiny_mnist, write_all):
    _, _, packed = tiny_mnist
    content = packed[f"{IMAGES}.gz"]
    packed[f"{IMAGES}.gz"] = content[:200] + bytes(300) + content[500:]
    with pytest.raises(UsageError, match="damaged or incomplete gzip data"):
        load(write_all(tmp_path, packed))


def test_a_label_for_each_image(tmp_path, tiny_mnist, write_all, idx):
    _, _, packed = tiny_mnist
    packed[f"{LABELS}.gz"] = gzip.compress(idx(np.zeros(11)))
    with pytest.raises(UsageError, match="a label for each of the 12 images, got 11"):
        load(write_all(tmp_path, packed))


def test_real_mnist(real_data):
    real_data("mnist")
    ds = data.load("mnist", download=False)
    assert (len(ds.train), len(ds.validation), len(ds.test)) == (50_000, 10_000, 10_000)
    train = np.concatenate([ds.train, ds.validation])
    assert round(float(train.mean(dtype=float)), 4) == 0.1307
    assert round(float(ds.test.mean(dtype=float)), 4) == 0.1325
    assert ds.labels["train"][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert ds.split == (
        "default: last 10,000 of the 60,000 training items are validation, 50,000 are trained "
        "on, the 10,000 test items as published"
    )
    iwae = data.load("mnist", split="iwae", download=False)
    assert (len(iwae.train), len(iwae.validation)) == (59_600, 400)
    small = data.load("mnist", split="aevb-1000", download=False)
    np.testing.assert_array_equal(small.train, ds.train[:1_000])
    assert small.checksum == iwae.checksum == ds.checksum
