"""Runs the test files of one Bazel target; exits with pytest's status: 5 for no test."""

import os
import sys

import pytest

if __name__ == "__main__":
    junit = os.environ.get("XML_OUTPUT_FILE")
    only = os.environ.get("TESTBRIDGE_TEST_ONLY")
    sys.exit(
        pytest.main(
            [
                "--config-file=pyproject.toml",
                "--verbosity=1",
                *([f"--junit-xml={junit}"] if junit else []),
                *([f"-k={only}"] if only else []),
                *sys.argv[1:],
            ]
        )
    )
