"""What figures are figures of: a machine and its software."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Environment:
    """What a figure depends on, beside the code."""

    cpu: str
    # That this process may use.
    cores: int
    # Processes that wanted a core over the last minute; None where the system does not tell.
    load: float | None
    system: str
    # Model by PyTorch's name of the device, the CPU left out.
    devices: Mapping[str, str]
    # Version by package; packages that are missing are left out.
    versions: Mapping[str, str]

    def describe(self) -> str:
        """In one line."""
        devices = [f"{name}: {model}" for name, model in self.devices.items()]
        versions = [f"{name} {version}" for name, version in self.versions.items()]
        load = [] if self.load is None else [f"load {self.load:.1f} at the start"]
        return "; ".join([f"{self.cpu}, {self.cores} cores", *devices, *versions, *load])
