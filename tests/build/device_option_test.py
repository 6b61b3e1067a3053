"""How the --device option of tests/conftest.py behaves without Bazel."""

import subprocess
import sys
from pathlib import Path

_TESTS = Path(__file__).absolute().parent.parent


def _pytest(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--config-file=pyproject.toml", *arguments],
        capture_output=True,
        check=False,
        cwd=_TESTS.parent,
        text=True,
    )


def test_a_present_device_passes() -> None:
    done = _pytest("--device=cpu", str(_TESTS / "build" / "device_probe.py"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_absent_device_fails_and_never_skips() -> None:
    done = _pytest("--device=xpu", str(_TESTS / "build" / "device_probe.py"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "asked to run on 'xpu'" in done.stdout
    assert "skipped" not in done.stdout


def test_an_unknown_device_is_a_usage_error() -> None:
    done = _pytest("--device=tpu", str(_TESTS / "build" / "device_probe.py"))
    assert done.returncode == 4
    assert "cpu" in done.stderr
