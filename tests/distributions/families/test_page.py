"""The table of docs/catalogue.md is that of the code."""

from pathlib import Path

from tightbound.distributions import FAMILIES
from tightbound.distributions.families.family import SOURCE

PAGE = Path(__file__).parents[3] / "docs" / "catalogue.md"


def table():
    """The page's table, from the code."""
    head = ["name", "route", "parameters", "support", "usual prior", "`mean` gives", "source"]
    rows = [head, ["---"] * len(head)]
    for family in FAMILIES.values():
        parameters = ", ".join(
            f"{p.name} ({p.constraint}, {p.standard:g})" for p in family.parameters
        )
        rows.append(
            [
                f"`{family.name}`",
                ", ".join(family.routes),
                parameters,
                family.interval or family.support,
                f"`{family.prior or family.name}`",
                family.centre_is,
                family.source.replace(SOURCE, "AEVB"),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_page_holds_the_table_of_the_code():
    assert table() in PAGE.read_text(), f"docs/catalogue.md should hold:\n{table()}"
