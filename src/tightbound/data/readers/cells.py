"""Numbers out of the cells of text tables, exactly, or a refusal that names the cell."""

import math
import re
from collections.abc import Iterable
from itertools import islice

from tightbound.core.errors import UsageError
from tightbound.data.numbers import no_numbers, too_long

_MISSING = {"", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"}
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_DIGITS = 15  # that every float64 keeps
_EXAMPLES_FROM = 10_000  # rows

Record = tuple[int, list[str]]
"""The number of a line, and its cells."""


class Cells:
    """Turns rows of cells into numbers; decimal commas are understood where no doubt is left.

    `1,5` has a decimal comma; `1,234` may have one or a separator of thousands, so that a table
    whose every comma could be either is refused, and one with commas and points too.
    """

    def __init__(self, names: list[str], what: str, *, commas: bool):
        """Of a table with columns of these names; `commas`: cells may hold some."""
        self.names, self.what, self.commas = names, what, commas
        self.comma, self.point, self.surely_decimal = "", "", False

    def numbers(self, cells: list[str], where: str, rest: Iterable[Record]) -> list[float]:
        """The numbers of one row; a missing one is NaN.

        Args:
            cells: As many as there are names.
            where: The row in words, for errors.
            rest: The rows below, of which a refusal shows some.

        Raises:
            UsageError: A cell that is no finite number: its place and text are given, or for a
                column of text some of its values.
        """
        if self.commas and not self.point:
            self.point = next((cell for cell in cells if "." in cell), "")
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = []
        joined = "".join(cells)
        short = len(joined) <= _DIGITS or max(map(len, cells)) <= _DIGITS
        if numbers and short and all(map(math.isfinite, numbers)) and "_" not in joined:
            return numbers
        return [self._number(j, cell, where, rest) for j, cell in enumerate(cells)]

    def _number(self, j: int, cell: str, where: str, rest: Iterable[Record]) -> float:
        place = f"{self.what}: {where}, column {self.names[j][:80]!r}"
        text = cell.strip()
        if is_missing(text):
            return math.nan
        if self.commas and _COMMA.fullmatch(text):
            self.comma = self.comma or f"{place} ({text[:40]!r})"
            self.surely_decimal |= not _THOUSANDS.fullmatch(text)
            text = with_point(text)
        if not is_number(text):
            raise self._no_number(j, cell, where, rest)
        number = float(text)
        if not math.isfinite(number):
            raise UsageError(f"{place}: expected a finite number, got {cell[:80]!r}")
        digits = text.lstrip("+-")
        if len(digits) > _DIGITS and digits.isdecimal() and int(text) != int(number):
            raise too_long(place, text)
        return number

    def _no_number(self, j: int, cell: str, where: str, rest: Iterable[Record]) -> UsageError:
        below = (cells[j] for _, cells in islice(rest, _EXAMPLES_FROM) if j < len(cells))
        others = [c for c in below if not is_missing(c) and not is_number(c)]
        if others:
            column = f"{self.what}: column {self.names[j][:80]!r}"
            return no_numbers(column, f"text, first in {where}", [cell, *others])
        return UsageError(
            f"{self.what}: {where}, column {self.names[j][:80]!r}: expected a finite number, "
            f"got {cell[:80]!r}"
        )

    def notes(self) -> tuple[str, ...]:
        """What was understood, at the end of the table.

        Raises:
            UsageError: Commas that may stand for either.
        """
        if not self.comma:
            return ()
        if self.point:
            raise UsageError(
                f"{self.comma}: expected decimal commas or decimal points, got both "
                f"({self.point[:40]!r} elsewhere)"
            )
        if not self.surely_decimal:
            raise UsageError(
                f"{self.comma}: the commas may be decimal or separate thousands; write decimal "
                "points, or leave thousands unseparated"
            )
        return ("commas were read as decimal commas",)


def with_point(cell: str) -> str:
    """The cell with a decimal point if it is a number with a decimal comma, else as it is."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell.strip()) else cell


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a number that is not there."""
    return cell.strip().lower() in _MISSING


def is_number(cell: str) -> bool:
    """Whether a cell is a number as Python writes them, infinite ones too."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
