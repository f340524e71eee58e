"""What the commands that restore images have in common: options, files and what they say."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tightbound.cli.arguments import Parser, of_a_file, whole
from tightbound.cli.folders import find_run, out_file
from tightbound.cli.output import say
from tightbound.cli.writers import FORMATS, write_rows, write_table
from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic
from tightbound.recipes.settings import LARGEST_KEY, check_data

if TYPE_CHECKING:
    from tightbound.runs import Restoration

DRAWS = 3
MOST_ROWS = 500
"""Images in a picture."""


def declare_restoring(parser: Parser, data: str) -> None:
    """The arguments of each of them."""
    parser.positional("run", "A run: its folder, or its name under runs/.")
    parser.positional("data", data)
    of_a_file(parser)
    parser.option("limit", "Only the first so many images.", whole(1))
    parser.option("draws", "Whole images drawn for each: in .npz and .png.", whole(1), DRAWS)
    parser.option("k", "Draws of z for each image; 1000 if left out.", whole(1))
    parser.option("key", "Seed of draws, binarisation and masks.", whole(0, LARGEST_KEY), 0)
    parser.option(
        "out",
        f"What is expected, a file: {' '.join(FORMATS)}; .npz also holds errors and draws, .png "
        "shows what was seen, what is expected, draws and the truth. [default: RUN/COMMAND.npy]",
    )
    parser.option("items", "A .csv: log p, its error, ESS and k-hat of each image.")


class Files:
    """Where a command writes, looked at before any work is done."""

    def __init__(self, given: Namespace, command: str) -> None:
        """Finds the run and the files.

        Raises:
            UsageError: No run, or files that cannot be written.
        """
        self.directory = find_run(given.run)
        self.out = out_file(given.out, self.directory / f"{command}.npy", FORMATS)
        self.items = None if given.items is None else out_file(given.items, self.out, (".csv",))
        check_data(given.data)
        for path in (self.out, self.items):
            if path is not None and path.resolve() == Path(given.data).resolve():
                raise UsageError("expected --out and --items as other files than the data")

    def asked(self, given: Namespace) -> Any:
        """What `tightbound.runs` is asked for."""
        from tightbound.runs import Asked

        return Asked(
            self.directory,
            given.data,
            draws=given.draws,
            k=given.k,
            key=given.key,
            limit=given.limit,
            scale=given.scale,
            header=given.header,
            progress=False if given.json else None,
        )

    def write(self, found: "Restoration", *, as_json: bool) -> None:
        """Writes, and says how it went.

        Raises:
            UsageError: A picture of items that are none, or of too many.
        """
        match self.out.suffix.lower():
            case ".npz":
                write_atomic(self.out, _archive(found))
            case ".png":
                write_atomic(self.out, _picture(found))
            case _:
                means = found.means
                write_rows(self.out, iter([means]), n=len(means), items=found.items)
        record = {"file": str(self.out), **found.record()}
        if self.items is not None:
            write_table(self.items, found.table())
            record["items"] = str(self.items)
        say(record, as_json=as_json)


def _archive(found: "Restoration") -> bytes:
    import io

    import numpy as np

    handle = io.BytesIO()
    np.savez(handle, allow_pickle=False, **found.arrays())
    return handle.getvalue()


def _picture(found: "Restoration") -> bytes:
    """A row for each image: what was seen, what is expected, draws, and the truth."""
    import numpy as np

    from tightbound.report.pictures import restored_sheet, value_range

    shape, images = found.items.shape, found.found
    n = len(images.x)
    if len(shape) != 2:
        raise UsageError(f"expected grey images for .png, got items of shape {shape}: write .npz")
    if n > MOST_ROWS:
        raise UsageError(f"a .png holds at most {MOST_ROWS} images, got {n}: use --limit")
    factor = round((images.x.size / images.seen.size) ** 0.5)
    small = images.seen.reshape(n, shape[0] // factor, shape[1] // factor)
    seen = small.repeat(factor, axis=1).repeat(factor, axis=2)
    truth = [] if found.truth is None else [found.truth]
    columns = [np.reshape(a, (n, -1)) for a in (seen, images.x, *images.draws, *truth)]
    return restored_sheet(columns, (shape[0], shape[1]), value_range(*columns))
