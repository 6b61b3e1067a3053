"""How much of a test that could go on for hours is done."""

import os


def effort(usual: int) -> int:
    """So many times the usual number as TORCHSTASH_TEST_EFFORT says; 1 unless it is set."""
    return max(1, int(usual * float(os.environ.get("TORCHSTASH_TEST_EFFORT", "1"))))
