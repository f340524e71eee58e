"""Tables in Parquet files."""

import io
from typing import Any

from tightbound.core.errors import UsageError
from tightbound.data.frames import from_arrow
from tightbound.data.readers.raw import first_line
from tightbound.data.table import Table

_MAGIC = b"PAR1"
_LARGE = 2**30
_RATIO = 1000  # of unpacked to packed bytes: dictionaries and runs pack well


def parse_parquet(content: bytes, what: str) -> Table:
    """Reads a table; missing cells become NaN.

    Raises:
        UsageError: As for `read_parquet`.
    """
    try:
        return from_arrow(read_parquet(content, what), what)
    except UsageError:
        raise
    except Exception as error:  # values that the file's types do not allow
        raise _damaged(what, error) from None


def parquet_bytes(table: Any) -> bytes:
    """The file of an Arrow table."""
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def read_parquet(content: bytes, what: str) -> Any:
    """The Arrow table that a file holds.

    Raises:
        UsageError: pyarrow is not installed, no Parquet file, or sizes that it cannot hold.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            f'{what}: reading Parquet needs pyarrow; pip install "tightbound[parquet]"'
        ) from None
    if not (content.startswith(_MAGIC) and content.endswith(_MAGIC) and len(content) >= 12):
        raise UsageError(f"{what}: expected a Parquet file, got other or incomplete data")
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
        meta = file.metadata
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        unpacked = sum(group.total_byte_size for group in groups)
        rows = max(meta.num_rows, sum(group.num_rows for group in groups))
        if max(unpacked, 8 * rows * meta.num_columns) <= max(_LARGE, _RATIO * len(content)):
            table = file.read()
            table.validate(full=True)
            if len(table) == meta.num_rows:
                return table
    except Exception as error:  # damaged files make the parser raise nearly everything
        raise _damaged(what, error) from None
    raise UsageError(
        f"{what}: expected a Parquet file, got one that announces sizes that it does not hold"
    )


def _damaged(what: str, error: Exception) -> UsageError:
    return UsageError(f"{what}: expected a Parquet file, got damaged data ({first_line(error)})")
