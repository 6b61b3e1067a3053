"""What is compared: small tensors one by one and at once, large ones, a state dict.

The goals are those of the product, for a machine of two cores; one that is missed does not fail
the run.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torchstash.tools.bench.storing import library_keepers as libraries
from torchstash.tools.bench.storing import ours, raw, torch_keepers, trials
from torchstash.tools.bench.storing.bare_sqlite import bare_sqlite
from torchstash.tools.bench.storing.comparison import Comparison, Goal
from torchstash.tools.bench.storing.workload import equal_tensors, state_dict

STATE_DICT = "A state dict of 200 names"


@dataclass(frozen=True)
class Scale:
    """How much is kept."""

    one_by_one: int = 1000
    at_once: int = 10_000
    small_bytes: int = 4 << 10
    large: int = 4
    large_bytes: int = 256 << 20
    # Of the state dict of 716 MiB.
    state_dict: float = 1.0
    names: int = 1_000_000

    @classmethod
    def of(cls, factor: float) -> "Scale":
        """Everything, times `factor`."""
        return cls(
            one_by_one=max(2, int(cls.one_by_one * factor)),
            at_once=max(2, int(cls.at_once * factor)),
            large_bytes=max(1 << 17, int(cls.large_bytes * factor) // 4 * 4),
            state_dict=factor,
            names=max(2, int(cls.names * factor)),
        )


def comparisons(scale: Scale, folder: Path) -> list[Comparison]:
    """All of them; the stores are made in `folder`."""
    return [
        _one_by_one(scale, folder),
        _at_once(scale, folder),
        _large(scale, folder),
        _state_dict(scale, folder),
    ]


_WRITE = {"write": trials.write, "write again": trials.write_again}
_READ = {"read": trials.read}


def _one_by_one(scale: Scale, folder: Path) -> Comparison:
    return Comparison(
        title="Small tensors, one by one",
        operation="tensor",
        cases=_WRITE | _READ,
        keepers=[
            ours.one_by_one(),
            torch_keepers.content_store(),
            torch_keepers.torch_save_each(),
            libraries.safetensors_each(),
            bare_sqlite(),
        ],
        make_work=partial(equal_tensors, scale.one_by_one, scale.small_bytes, folder),
        size_bytes=scale.one_by_one * scale.small_bytes,
        operations=scale.one_by_one,
        goals=[
            Goal(ours.ONE_BY_ONE, "write", 50),
            Goal(ours.ONE_BY_ONE, "write again", 20),
            Goal(ours.ONE_BY_ONE, "read", 25),
        ],
    )


def _at_once(scale: Scale, folder: Path) -> Comparison:
    return Comparison(
        title="Small tensors, all at once",
        operation="tensor",
        cases=_WRITE | _READ,
        keepers=[
            ours.at_once(),
            torch_keepers.torch_save(),
            libraries.safetensors_file(),
            libraries.tensorstore(),
            torch_keepers.distributed_checkpoint(),
            raw.plain(),
        ],
        make_work=partial(equal_tensors, scale.at_once, scale.small_bytes, folder),
        size_bytes=scale.at_once * scale.small_bytes,
        operations=scale.at_once,
        goals=[Goal(ours.AT_ONCE, "write", 25)],
    )


def _large(scale: Scale, folder: Path) -> Comparison:
    return Comparison(
        title="Large tensors",
        operation="tensor",
        cases=_WRITE | _READ | {"read, touch": trials.read_and_touch},
        keepers=[
            ours.at_once(),
            ours.at_once(ours.UNVERIFIED, verify=False),
            torch_keepers.content_store(),
            torch_keepers.torch_save(),
            libraries.safetensors_file(),
            raw.hashed(),
            raw.plain(),
            raw.hash_only(),
        ],
        make_work=partial(equal_tensors, scale.large, scale.large_bytes, folder),
        size_bytes=scale.large * scale.large_bytes,
        operations=scale.large,
        goals=[
            Goal(ours.AT_ONCE, "write", 1 / 0.8, raw.HASHED),
            Goal(ours.AT_ONCE, "write again", 1 / 0.9, raw.HASH_ONLY),
            Goal(ours.AT_ONCE, "read", 1 / 0.9, raw.HASH_ONLY),
        ],
    )


def _state_dict(scale: Scale, folder: Path) -> Comparison:
    save, saved, changed, load = "save", "save, synced", "save v2", "load"
    return Comparison(
        title=STATE_DICT,
        operation="state dict",
        cases={
            save: trials.write,
            saved: trials.write_synced,
            changed: trials.write_changed,
            load: trials.read,
            "load, touch": trials.read_and_touch,
        },
        keepers=[
            ours.snapshot(),
            ours.snapshot(ours.SNAPSHOT_VERIFIED, verify=True),
            torch_keepers.torch_save(),
            libraries.safetensors_file(),
            torch_keepers.distributed_checkpoint(),
            torch_keepers.content_store(),
            libraries.tensorstore(),
            libraries.xet(),
            raw.plain(),
            raw.busy(),
        ],
        make_work=partial(state_dict, folder, scale=scale.state_dict),
        # By name.
        size_bytes=int(1059 * (1 << 20) * scale.state_dict),
        goals=[
            Goal(ours.SNAPSHOT, save, 1.1, raw.PLAIN),
            Goal(ours.SNAPSHOT, save, 1.0, torch_keepers.TORCH_SAVE),
            Goal(ours.SNAPSHOT, saved, 1.0, torch_keepers.TORCH_SAVE),
            Goal(ours.SNAPSHOT, changed, 0.7, ours.SNAPSHOT, save),
            Goal(ours.SNAPSHOT, load, 0.6, libraries.SAFETENSORS),
            # How far from the machine's limit that is, and where the limit is.
            Goal(ours.SNAPSHOT, save, None, raw.BUSY),
            Goal(ours.SNAPSHOT, changed, None, raw.BUSY),
            Goal(raw.BUSY, save, None, raw.PLAIN),
            Goal(raw.BUSY, changed, None, raw.BUSY, save),
        ],
    )
