"""The same program passes over PyTorch's modules, over ours, and over both at once."""

from pathlib import Path

import pytest

from torchstash.tests.prims import interface_program
from torchstash.tests.prims.python_process import run_python


@pytest.mark.parametrize("implementation", ["torch", "torchstash", "torch beside torchstash"])
def test_the_interface_of_pytorchs_modules(implementation: str, device: str) -> None:
    program = Path(interface_program.__file__)
    done = run_python(str(program), implementation, device)
    assert done.returncode == 0, done.stderr
    checks = [name for name in vars(interface_program) if name.startswith("check_")]
    assert done.stdout.split() == checks
    assert "Overriding a previously registered kernel" not in done.stderr
