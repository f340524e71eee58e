"""How a table is laid out in text: what separates cells, what quotes them, where each stands."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tightbound.core.errors import UsageError
from tightbound.data.readers.cells import Record

_SAMPLE = 20  # lines from which the layout is found
WHITE = " "
USUAL = {".csv": ",", ".tsv": "\t"}
WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", WHITE: "white space"}
_DECIMAL_COMMAS = re.compile(r"[+-]?\d+(,\d+)?")
_OPENS, _CLOSES = re.compile(r"(?:^|[,;\t ])'"), re.compile(r"'\s*(?:$|[,;\t ])", re.MULTILINE)


class Layout(NamedTuple):
    """What separates cells, and what quotes them."""

    separator: str
    quote: str

    def records(self, text: str) -> Iterator[Record]:
        """The lines with anything on them, from the first that does not begin with #."""
        lines = io.StringIO(text, newline="")
        skipped = _above(lines)
        lines.seek(0)
        source = islice(lines, skipped, None)
        if self.separator == WHITE:
            source = (" ".join(line.split()) for line in source)
        reader = csv.reader(source, delimiter=self.separator, quotechar=self.quote)
        for cells in reader:
            if any(cells) or len(cells) > 1:
                yield reader.line_num + skipped, cells

    def spans(self, text: str, what: str) -> Iterator[tuple[list[str], list[tuple[int, int]]]]:
        """The cells of `records`, and where each begins and ends in the text.

        Raises:
            UsageError: A line in which quotes stand where their end cannot be told for sure.
        """
        lines = io.StringIO(text, newline="")
        place = sum(len(line) for line in islice(lines, _above(lines, rewind=True)))
        cell = re.compile(self._cell())
        ends = re.compile(r"[ \t\f\v]*(?:\r\n|\n|\r|\Z)")
        for line, cells in self.records(text):
            found: list[tuple[int, int]] = []
            while not found and place < len(text):  # lines without a cell
                place, found = self._line(text, place, cell, ends)
                if len(found) < 2 and not any(self.plain(text[a:b]) for a, b in found):
                    found = []
            if [self.plain(text[a:b]) for a, b in found] != cells:
                raise UsageError(
                    f"{what}: line {line}: expected quotes around whole cells, so that the file "
                    "can be written again as it is"
                )
            yield cells, found

    def _cell(self) -> str:
        quote, mark = re.escape(self.quote), re.escape(self.separator)
        if self.separator == WHITE:
            return rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}(?=\s|\Z)|[^\s]+"
        quoted = rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}(?=[{mark}\r\n]|\Z)"
        return rf"{quoted}|[^{mark}\r\n]*"

    def _line(
        self, text: str, place: int, cell: re.Pattern[str], ends: re.Pattern[str]
    ) -> tuple[int, list[tuple[int, int]]]:
        """The spans of one line's cells, and where the next line begins."""
        found = []
        while True:
            if self.separator == WHITE:
                while place < len(text) and text[place] in " \t\f\v":
                    place += 1
                if end := ends.match(text, place):
                    return end.end(), found
            span = cell.match(text, place)
            assert span is not None, "the pattern matches no text too"
            found.append(span.span())
            place = span.end()
            if self.separator != WHITE:
                if place < len(text) and text[place] == self.separator:
                    place += 1
                    continue
                end = re.compile(r"\r\n|\n|\r|\Z").match(text, place)
                return (end.end() if end else len(text)), found

    def plain(self, raw: str) -> str:
        """The text of a cell as it stands in the file: without quotes around it."""
        if len(raw) > 1 and raw[0] == raw[-1] == self.quote:
            raw = raw[1:-1].replace(self.quote * 2, self.quote)
            return " ".join(raw.split()) if self.separator == WHITE else raw
        return raw

    def quoted(self, text: str, *, always: bool) -> str:
        """A cell of that text, in quotes where it needs them."""
        needs = any(mark in text for mark in (self.separator, self.quote, "\n", "\r"))
        if not (needs or always or text != text.strip()):
            return text
        return f"{self.quote}{text.replace(self.quote, self.quote * 2)}{self.quote}"


def find_layout(text: str, suffix: str) -> Layout:
    """The layout that gives all of the first lines as many cells, and more than one.

    Single quotes are quotes where no double ones are there, and each that begins a cell has one
    that ends it.
    """
    lines = io.StringIO(text, newline="")
    some = (line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    sample = list(islice(some, _SAMPLE))
    single = '"' not in "".join(sample) and any(_OPENS.search(line) for line in sample)
    single = single and all(len(_OPENS.findall(x)) == len(_CLOSES.findall(x)) for x in sample)
    quote = "'" if single else '"'
    return Layout(_separator(sample, suffix, quote), quote)


def _separator(sample: list[str], suffix: str, quote: str) -> str:
    if not sample:
        return ","
    for mark in ("\t", ";", ",", WHITE):
        if mark == "," and _white_with_commas(sample):
            continue
        plain = [" ".join(line.split()) for line in sample] if mark == WHITE else sample
        widths = [len(cells) for cells in csv.reader(plain, delimiter=mark, quotechar=quote)]
        body = set(widths[1:] or widths)
        if len(body) == 1 and 1 < min(body) and widths[0] in (max(body), max(2, max(body) - 1)):
            return mark
    return next((mark for mark in "\t;," if mark in sample[0]), USUAL.get(suffix, WHITE))


def _white_with_commas(lines: list[str]) -> bool:
    """Whether white space separates numbers with decimal commas, as in `1,5 2,5`."""
    cells = [line.split() for line in lines]
    return min(map(len, cells)) > 1 and all(
        _DECIMAL_COMMAS.fullmatch(cell) for row in cells[1:] or cells for cell in row
    )


def _above(lines: io.StringIO, *, rewind: bool = False) -> int:
    """How many lines stand above the table: comments, and lines without anything."""
    skipped = 0
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            break
        skipped += 1
    if rewind:
        lines.seek(0)
    return skipped
