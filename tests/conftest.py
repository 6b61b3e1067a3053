"""Settings of every test run, with Bazel or with pytest alone."""

import os
from pathlib import Path

import pytest

import torchstash

# With the wheel installed, `torchstash` lies in site-packages and the tests in
# this checkout. Shared suites are imported as `torchstash.tests...` both ways.
_ROOT = Path(__file__).absolute().parent.parent
if not any(_ROOT.samefile(entry) for entry in torchstash.__path__):
    torchstash.__path__.append(str(_ROOT))

DEVICE_VARIABLE = "TORCHSTASH_TEST_DEVICE"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        choices=("cpu", "cuda", "mps", "xpu"),
        default=os.environ.get(DEVICE_VARIABLE, "cpu"),
        help=f"the device that device tests run on (default: ${DEVICE_VARIABLE}, or cpu)",
    )


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """The device under test. Absent although asked for: the test fails, never skips."""
    name: str = request.config.getoption("--device")
    if name != "cpu":
        import torch  # noqa: PLC0415 - cpu tests of the cache need no torch.

        if not getattr(torch, name).is_available():
            pytest.fail(f"the tests were asked to run on {name!r}, but torch finds no such device")
    return name
