"""Tables for people on a terminal, and aligned lines for pipes and logs.

A table is written page by page, so that the first lines of a long one come at once and its
length costs no memory. Piped text is never cut or wrapped. What could steer a terminal
(a name is any text) is shown escaped.
"""

import itertools
import sys
from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PAGE_ROWS = 500


def printable(text: str) -> str:
    """`text` in which control characters and the like are written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[str] = ()
) -> None:
    """Writes rows of cells under their titles to standard output.

    Args:
        titles: One for each column.
        rows: As many cells in each as there are titles.
        right: Titles of the columns whose cells end at the right, as numbers do.
    """
    console = Console()
    remaining = iter(rows)
    widths = [len(title) for title in titles]
    is_first = True
    while True:
        page = [
            [printable(cell) for cell in row] for row in itertools.islice(remaining, _PAGE_ROWS)
        ]
        if not page and not is_first:
            return
        for row in page:
            widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
        if console.is_terminal:
            console.print(_rich_table(titles, page, widths, right, show_header=is_first))
        else:
            for row in [list(titles), *page] if is_first else page:
                sys.stdout.write(_line(titles, row, widths, right))
        is_first = False


def _line(
    titles: Sequence[str], row: Sequence[str], widths: Sequence[int], right: Collection[str]
) -> str:
    cells = [
        cell.rjust(width) if title in right else cell.ljust(width)
        for title, cell, width in zip(titles, row, widths, strict=True)
    ]
    return "  ".join(cells).rstrip() + "\n"


def _rich_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    widths: Sequence[int],
    right: Collection[str],
    *,
    show_header: bool,
) -> Table:
    table = Table(box=None, show_header=show_header, header_style="bold")
    for title, width in zip(titles, widths, strict=True):
        table.add_column(
            title,
            justify="right" if title in right else "left",
            # The last column takes what is left of the line, and folds instead of losing text.
            no_wrap=title != titles[-1],
            min_width=width if title != titles[-1] else None,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
