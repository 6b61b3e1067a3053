import platform

import pytest
import torch

from torchstash.tests.tools.bench.outcomes import ENVIRONMENT
from torchstash.tools.bench.devices import present_devices, require_devices
from torchstash.tools.bench.errors import UsageError
from torchstash.tools.bench.machine import find_environment, usable_cores


def test_the_line_names_what_figures_depend_on() -> None:
    line = find_environment(["cpu"], ["blake3", "no-such-package"]).describe()
    assert f", {usable_cores()} cores; " in line
    assert f"torch {torch.__version__}" in line
    assert f"Python {platform.python_version()}" in line
    assert "blake3 1." in line
    assert "no-such-package" not in line


def test_devices_are_told_by_their_models() -> None:
    assert "; cuda: A GPU; " in ENVIRONMENT.describe()


def test_the_cpu_is_always_there() -> None:
    assert present_devices()[0] == "cpu"
    assert require_devices(["cpu", "cpu"]) == ["cpu"]


def test_a_device_that_is_absent_is_an_error_never_left_out() -> None:
    with pytest.raises(UsageError, match=r"'vulkan'.*finds here: cpu"):
        require_devices(["cpu", "vulkan"])
