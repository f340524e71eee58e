"""Numbers and words out of the cells of text tables, or a refusal that names the cell."""

import math
import re
from collections.abc import Collection

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.numbers import too_long
from tightbound.data.table import Column, Refused, Words, is_number

_MISSING = {"", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"}
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DISGUISED = {
    re.compile(r"\d{4}[-/.]\d\d?[-/.]\d\d?([ T].*)?|\d\d?[-/.]\d\d?[-/.]\d\d(\d\d)?([ T].*)?"): (
        "no dates, but numbers such as days since one"
    ),
    re.compile(r"[+-]?[$€£]? ?\d[\d.,' ]*[%$€£]?"): (
        "a number without signs and separators, such as 1234.5"
    ),
}
_DIGITS = 15  # that every float64 keeps

DECIMAL_COMMAS = "commas were read as decimal commas"
"""The note on a table that has some."""
Record = tuple[int, list[str]]
"""The number of a line, and its cells."""


class Cells:
    """Turns rows of cells into numbers; decimal commas are understood where no doubt is left.

    `1,5` has a decimal comma; `1,234` may have one or a separator of thousands, so that a table
    whose every comma could be either is refused, and one with commas and points too.
    """

    def __init__(self, names: list[str], what: str):
        """Of a table with columns of these names."""
        self.names, self.what = names, what
        self.comma, self.point, self.surely_decimal = "", "", False
        self.said: list[str] = []

    def numbers(self, cells: list[str], where: str) -> list[float]:
        """The numbers of one row, of as many cells as there are names; a missing one is NaN.

        Args:
            cells: The row.
            where: Which it is, in words.

        Raises:
            UsageError: A cell that is no finite number: its place and text are given.
        """
        if not self.point:
            self.point = next((cell for cell in cells if "." in cell), "")
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = []
        joined = "".join(cells)
        short = len(joined) <= _DIGITS or max(map(len, cells)) <= _DIGITS
        if numbers and short and all(map(math.isfinite, numbers)) and "_" not in joined:
            return numbers
        return [self._number(j, cell, where) for j, cell in enumerate(cells)]

    def column(
        self, j: int, cells: list[str], wheres: list[str], *, levels: Collection[str] | None
    ) -> Column:
        """A whole column: numbers, or words where most of what is known is no number.

        Args:
            j: Which one.
            cells: Its cells.
            wheres: The rows in words.
            levels: Not None where numbers are words too, as they are written; those that are known
                are no holes, however they are spelled.
        """
        texts = [cell.strip() for cell in cells]
        hole = [text not in (levels or ()) and is_missing(text) for text in texts]
        known = [text for text, none in zip(texts, hole, strict=True) if not none]
        words = sum(not is_number(with_point(text)) for text in known)
        try:
            for place, text in enumerate(texts):
                if not text.isprintable() and _CONTROL.search(text):
                    raise self._error(j, cells[place], wheres[place], "text or a number")
            if known and (levels is not None or 2 * words > len(known)):
                pairs = zip(texts, hole, strict=True)
                words_of = [None if none else text for text, none in pairs]
                return self._words(j, cells, words_of, wheres, said=levels is not None)
            if not self.point:
                self.point = next((text for text in texts if "." in text), "")
            return np.array([self._number(j, *of) for of in zip(cells, wheres, strict=True)])
        except UsageError as error:
            return Refused(error)

    def _words(
        self, j: int, cells: list[str], texts: list[str | None], wheres: list[str], *, said: bool
    ) -> Words:
        """A column of words; of dates and of numbers in disguise only if it was `said` to be."""
        name = self.names[j].strip()[:80]
        known = [place for place, text in enumerate(texts) if text is not None]
        for pattern, wanted in () if said else _DISGUISED.items():
            alike = [place for place in known if pattern.fullmatch(texts[place] or "")]
            if 2 * len(alike) > len(known):
                hint = f"; if it holds levels, say so: --category {name}; or --drop {name}"
                raise self._error(j, cells[alike[0]], wheres[alike[0]], wanted, hint)
        holes = {cells[place].strip() for place, text in enumerate(texts) if text is None}
        spelled = sorted(hole for hole in holes if hole.isalpha())
        if set(spelled) - {"NA", "nan", "NaN", "NAN"}:
            listed = ", ".join(map(repr, spelled))
            self.said.append(f"column {name!r}: {listed} are read as missing")
        raw = {cells[place] for place in known}
        if len(raw) > len({cell.strip() for cell in raw}):
            self.said.append(f"column {name!r}: levels that differ by white space around them "
                             "alone are taken as one")  # fmt: skip
        return Words(texts)

    def _number(self, j: int, cell: str, where: str) -> float:
        place = f"{self.what}: {where}, column {self.names[j][:80]!r}"
        text = cell.strip()
        if is_missing(text):
            return math.nan
        if _COMMA.fullmatch(text):
            self.comma = self.comma or f"{place} ({text[:40]!r})"
            self.surely_decimal |= not _THOUSANDS.fullmatch(text)
            text = with_point(text)
        if not is_number(text):
            hint = f"; if it holds levels, say so: --category {self.names[j][:80]}"
            raise self._error(j, cell, where, "a finite number", hint)
        number = float(text)
        if not math.isfinite(number):
            raise self._error(j, cell, where, "a finite number")
        digits = text.lstrip("+-")
        if len(digits) > _DIGITS and digits.isdecimal() and int(text) != int(number):
            raise too_long(place, text)
        return number

    def _error(self, j: int, cell: str, where: str, wanted: str, hint: str = "") -> UsageError:
        return UsageError(
            f"{self.what}: {where}, column {self.names[j][:80]!r}: expected {wanted}, "
            f"got {cell[:80]!r}{hint}"
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
        return (DECIMAL_COMMAS,)


def with_point(cell: str) -> str:
    """The cell with a decimal point if it is a number with a decimal comma, else as it is."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell.strip()) else cell


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a number that is not there."""
    return cell.strip().lower() in _MISSING
