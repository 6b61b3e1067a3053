"""How a benchmark ends: its exit status, and what it says where it could not run."""

import sys
from collections.abc import Callable

from torchstash.tools.bench.errors import BenchError


def exit_status(name: str, run: Callable[[], None]) -> int:
    """Runs a benchmark: 0; 1 where it could not run, and standard error says why; 130 on Ctrl-C."""
    try:
        run()
    except (BenchError, OSError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return 130
    return 0
