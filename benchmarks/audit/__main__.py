"""`python -m benchmarks.audit`: what libraries report, beside the exact value."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.audit.report import PEERS, audit, document, markdown
from tightbound.core.files import write_atomic


def main() -> None:
    """Prints the table, and writes it where `--out` says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--only", default=",".join(PEERS), help=f"some of {', '.join(PEERS)}")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write it here too: JSON if so named, or Markdown"
    )
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(PEERS):
        parser.error(f"--only knows {', '.join(PEERS)}; got {', '.join(sorted(unknown))}")
    found = audit(names)
    print(markdown(found))
    if options.out:
        as_json = options.out.suffix == ".json"
        text = json.dumps(document(found), indent=1) if as_json else markdown(found)
        write_atomic(options.out, text + "\n")


if __name__ == "__main__":
    sys.exit(main())
