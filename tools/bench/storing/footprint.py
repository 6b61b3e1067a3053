"""What stores take of the medium and of memory: figures that no clock gives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from torchstash.content_store import ContentStoreWriter
from torchstash.tools.bench.outcome import Figure
from torchstash.tools.bench.storing import library_keepers, ours, torch_keepers
from torchstash.tools.bench.storing.workload import Workload, unique_bytes

# Prints by how many MiB the resident memory grew, and milliseconds until the first tensor. What
# only a first read of a process costs is spent on another store.
_READING = """
import sys, time
from torchstash.content_store import ContentStoreReader

def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

warm, folder, *names = sys.argv[1:]
with ContentStoreReader(warm, verify=False) as reader:
    kept = [reader.read_tensor(name) for name in reader.names()]
before = resident_kib()
start = time.perf_counter()
reader = ContentStoreReader(folder, verify=False)
tensors = [reader.read_tensor(names[0])]
first = time.perf_counter() - start
tensors += [reader.read_tensor(name) for name in names[1:]]
print((resident_kib() - before) / 1024, first * 1e3)
"""


def overhead(work: Workload) -> Iterator[Figure]:
    """Bytes on the medium for each small tensor, beside its own."""
    contents = unique_bytes(work.tensors)
    for keeper, goal in ((ours.one_by_one(), 300), (torch_keepers.content_store(), None)):
        folder = work.new_folder()
        keeper.save(folder, work.tensors)
        each = (_bytes_below(folder) - contents) / len(work.tensors)
        yield Figure(f"overhead of a small tensor: {keeper.name}", each, "B", at_most=goal)


def two_versions(work: Workload) -> Iterator[Figure]:
    """Bytes on the medium for a state dict and its next version, over those of their contents."""
    contents = unique_bytes(work.tensors, work.changed)
    folder = work.new_folder()
    with ContentStoreWriter(folder) as writer:
        writer.save_state_dict("v1", dict(work.tensors))
        writer.save_state_dict("v2", dict(work.changed))
    name = "bytes of v1 + v2 / unique content"
    yield Figure(f"{name}: {ours.SNAPSHOT}", _bytes_below(folder) / contents, at_most=1.005)
    for keeper in (torch_keepers.torch_save(), library_keepers.safetensors_file()):
        total = 0
        for version in (work.tensors, work.changed):
            folder = work.new_folder()
            keeper.save(folder, version)
            total += _bytes_below(folder)
        yield Figure(f"{name}: {keeper.name}", total / contents)


def mapped_read(work: Workload) -> Iterator[Figure]:
    """What a fresh process takes to map the large tensors, and how long until it has the first."""
    if not Path("/proc/self/status").exists():
        return
    folder, warm = work.new_folder(), work.new_folder()
    ours.at_once().save(folder, work.tensors)
    name, tensor = next(iter(work.tensors.items()))
    ours.at_once().save(warm, {name: tensor[: 1 << 15].clone()})
    command = [sys.executable, "-P", "-c", _READING, str(warm), str(folder), *work.tensors]
    printed = subprocess.run(  # noqa: S603 - this program
        command,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ).stdout
    grown, first = map(float, printed.split())
    yield Figure("large tensors, mapped: growth of resident memory", grown, "MiB", at_most=20)
    yield Figure("large tensors, mapped: open the store, first tensor", first, "ms", at_most=2)


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
