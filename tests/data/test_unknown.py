import pytest

from tightbound.core.errors import UsageError, unknown


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("adamm", "; did you mean adam?"),
        ("ADAM", "; did you mean adam?"),
        ("rmsprop", "; did you mean rms_prop?"),
        ("rms-prop", "; did you mean rms_prop?"),
        ("fash", "; did you mean fashion_mnist?"),
        ("zzz", ""),
        ("", ""),
        (3, ""),
        (None, ""),
    ],
)
def test_near_names(name, meant):
    error = unknown("optimizer", name, ["adam", "sgd", "rms_prop", "fashion_mnist"])
    assert isinstance(error, UsageError)
    assert str(error) == (
        f"expected optimizer to be one of adam, sgd, rms_prop, fashion_mnist, got {name!r}{meant}"
    )


def test_a_handful_of_many_names_the_near_ones_first():
    names = [f"{letter}{letter}{letter}_long" for letter in "abcdefghijklmnop"]
    message = str(unknown("objective", "ooo_lung", names))
    assert message == (
        "expected objective to be one of ooo_long, aaa_long, bbb_long, ccc_long, ddd_long, "
        "eee_long, fff_long, ggg_long and 8 others, got 'ooo_lung'; did you mean ooo_long?"
    )


def test_names_that_would_spoil_the_line():
    message = str(unknown("split", "a\n\x1b[31m" + "b" * 10_000, ["x"]))
    assert message.isprintable()
    assert len(message) < 150
    assert "one of none, got 'x'" in str(unknown("split", "x", []))
