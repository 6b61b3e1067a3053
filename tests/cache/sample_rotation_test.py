import os
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from torchstash.cache import CacheSample, FileSink, read_samples
from torchstash.cache.sinks.rotation import files_oldest_first
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.child_process import end_child, end_python, start_child, start_python


def _sample(i: int) -> CacheSample:
    sample = CacheSample(key=f"{i}" * 10, operation=pb.OPERATION_GET, encoded_size_bytes=i)
    sample.start_time.seconds = 1_700_000_000
    return sample


def _numbers(path: Path) -> list[int]:
    return [sample.encoded_size_bytes for sample in read_samples(path)]


def test_the_newest_files_are_kept_and_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "samples.binpb"
    with FileSink(path, max_bytes=500, max_files=3) as sink:
        for i in range(100):
            sink.log(_sample(i))
    names = [each.name for each in files_oldest_first(path)]
    assert names == ["samples.binpb.2", "samples.binpb.1", "samples.binpb"]
    found = _numbers(path)
    assert found == list(range(found[0], 100))
    assert len(found) > 20
    assert sum(each.stat().st_size for each in files_oldest_first(path)) <= 3 * 600


def test_a_single_file_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "samples.binpb"
    with FileSink(path, max_bytes=500, max_files=1) as sink:
        for i in range(100):
            sink.log(_sample(i))
    assert files_oldest_first(path) == [path]
    assert _numbers(path)[-1] == 99


def test_a_gap_in_the_numbers_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "samples.binpb"
    for number, suffix in enumerate([".12", ".3", ""]):
        with FileSink(f"{path}{suffix}") as sink:
            sink.log(_sample(number))
    (tmp_path / "samples.binpb.old").write_bytes(b"not ours")
    assert _numbers(path) == [0, 1, 2]


def test_nothing_is_lost_by_threads_and_processes_that_rotate(tmp_path: Path) -> None:
    path = tmp_path / "samples.binpb"
    with FileSink(path, max_bytes=2000, max_files=1000) as sink:

        def log(first: int) -> None:
            for i in range(first, first + 200):
                sink.log(_sample(i))

        children = [start_child(partial(log, first)) for first in (0, 200)]
        threads = [threading.Thread(target=log, args=(first,)) for first in (400, 600)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for child in children:
            end_child(child)
    assert sorted(_numbers(path)) == list(range(800))
    assert len(files_oldest_first(path)) > 5


_WRITER = """
import sys
from torchstash.cache import CacheSample, FileSink
sink = FileSink(sys.argv[1], max_bytes=2000, max_files=1000)
i = int(sys.argv[2])
while True:
    sample = CacheSample(key=str(i) * 10, encoded_size_bytes=i, operation=1)
    sample.start_time.seconds = 1700000000
    sink.log(sample)
    print(i, flush=True)
    i += 1
"""


def test_a_killed_writer_loses_nothing_that_it_had_logged(tmp_path: Path) -> None:
    path = tmp_path / "samples.binpb"
    logged: set[int] = set()
    for attempt in range(5):
        child = start_python(_WRITER, path, attempt * 1_000_000)
        assert child.stdout is not None
        for _ in range(100 + 37 * attempt):
            logged.add(int(child.stdout.readline()))
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(AssertionError, match="-9"):
            end_python(child)
    found = _numbers(path)
    assert logged <= set(found)
    assert len(set(found)) == len(found)
    with FileSink(path, max_bytes=2000, max_files=1000) as sink:
        sink.log(_sample(7_777_777))
    assert _numbers(path)[-1] == 7_777_777


@pytest.mark.parametrize("limits", [{"max_files": 0}, {"max_bytes": 0}])
def test_limits_are_positive(tmp_path: Path, limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FileSink(tmp_path / "samples.binpb", **limits)
