"""What a test can import: what its target declares, and Python itself."""

import importlib.util
import os
import site
import sys
from pathlib import Path

import pytest


def test_the_interpreter_is_the_toolchains() -> None:
    assert sys.version_info[:2] == (3, 11)


def test_no_package_of_the_host_or_the_user_is_on_the_path() -> None:
    assert not site.ENABLE_USER_SITE
    runfiles = Path(os.environ["RUNFILES_DIR"])
    interpreter = Path(sys.base_prefix)
    assert interpreter not in {Path("/usr"), Path("/usr/local")}
    for entry in map(Path, sys.path):
        if entry.exists():
            assert entry == runfiles or {runfiles, interpreter} & set(entry.parents), entry


@pytest.mark.parametrize("undeclared", ["torch", "blake3", "torchstash.cache"])
def test_what_is_not_declared_is_not_there(undeclared: str) -> None:
    assert importlib.util.find_spec(undeclared) is None
