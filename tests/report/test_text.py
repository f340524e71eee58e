import math

import pytest

from tightbound.report.text import count, duration, error, number, percent, plain, terminal


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-20.104), "−20.10"),
        (number(-0.001), "0.00"),
        (number(math.nan), "not finite"),
        (number(-math.inf), "not finite"),
        (count(1234567), "1\u202f234\u202f567"),
        (count(-5000.0), "−5\u202f000"),
        (count(math.inf), "not finite"),
        (error(0.41), "0.41"),
        (error(1.234), "1.23"),
        (error(0.00312), "0.0031"),
        (error(0.00001), "< 0.0001"),
        (error(0.0), "0"),
        (error(math.nan), "not finite"),
        (percent(0.0134), "1.3 %"),
        (percent(math.nan), "not finite"),
        (duration(59.94), "59.9 s"),
        (duration(74.3), "1 min 14 s"),
        (duration(7325), "2 h 2 min"),
        (duration(math.nan), "not finite"),
        (plain([200, 100]), "200, 100"),
        (plain(False), "false"),
        (plain({"a": 1}), "a 1"),
        (plain(None), "none"),
    ],
)
def test_numbers_and_words(shown, expected):
    assert shown == expected


def test_terminal_text_holds_no_escape_and_no_cell_border():
    assert terminal("−5\u202f000 \x1b[31mred\n| end") == "-5000 [31mred \\| end"
