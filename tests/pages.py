"""Tables of the documentation, which tests hold against what the objectives say."""

from pathlib import Path


def shown(table: str, page: Path) -> str:
    """A table's head and its rows about what the page names; a new objective need not be shown."""
    head, rule, *rows = table.splitlines()
    text = page.read_text()
    named = [row for row in rows if f"\n| {row.split('|')[1].strip()} |" in text]
    return "\n".join([head, rule, *named])
