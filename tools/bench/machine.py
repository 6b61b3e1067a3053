"""Finds out what this process runs on."""

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch

from torchstash.tools.bench.devices import device_model
from torchstash.tools.bench.environment import Environment

_CPUINFO = Path("/proc/cpuinfo")


def find_environment(devices: Sequence[str], packages: Sequence[str]) -> Environment:
    """The machine, and the versions of what is measured on it.

    Args:
        devices: That are measured, by PyTorch's name.
        packages: Distributions whose versions matter. Python and PyTorch always do.
    """
    return Environment(
        cpu=_cpu_model(),
        cores=usable_cores(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        devices={device: device_model(device) for device in devices if device != "cpu"},
        versions={
            "Python": platform.python_version(),
            # With the build: "2.13.0+cpu".
            "torch": str(torch.__version__),
            **_versions(packages),
        },
    )


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            check=False,
            text=True,
        )
        if asked.returncode == 0:
            return asked.stdout.strip()
    return platform.processor() or platform.machine()
