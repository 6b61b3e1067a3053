"""`torchstash verify`: what is wrong with a content store, a line for each, as it is found."""

import sys
from datetime import datetime

from torchstash.content_store import ContentStoreMaintenance, ProblemKind
from torchstash.tools.cli.problem_lines import json_line, line
from torchstash.tools.cli.store import told_errors


def verify_store(store: str, since: datetime | None, *, as_json: bool) -> bool:
    """Writes a line for each problem; whether the store is sound, stray files aside.

    Raises:
        CommandError: There is no store, or it cannot be read.
    """
    is_sound = True
    hashed_bytes = 0

    def count(size_bytes: int) -> None:
        nonlocal hashed_bytes
        hashed_bytes += size_bytes

    with told_errors():
        problems = ContentStoreMaintenance(store).verify(since=since, on_progress=count)
        for problem in problems:
            sys.stdout.write(json_line(problem) if as_json else line(problem))
            sys.stdout.flush()
            is_sound = is_sound and problem.kind is ProblemKind.STRAY_FILE
    if not as_json:
        verdict = "the store is sound" if is_sound else "the store is damaged"
        sys.stdout.write(f"{hashed_bytes} bytes hashed: {verdict}\n")
    return is_sound
