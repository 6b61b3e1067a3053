import os
import random
import threading
from functools import partial
from pathlib import Path

import pytest

from torchstash.cache import CacheSample, FileSink, MemorySink, SampleFileError, read_samples
from torchstash.proto.cache.v1 import cache_sample_pb2 as pb
from torchstash.tests.cache.child_process import end_child, start_child


def _sample(i: int, *, length: int = 10) -> CacheSample:
    sample = CacheSample(
        key=f"{i}/" + "k\u00e9" * length,
        operation=pb.OPERATION_GET,
        outcome=pb.OUTCOME_HIT,
        cache_name="cache",
        encoded_size_bytes=i,
    )
    sample.start_time.seconds = 1_700_000_000 + i
    sample.total_duration.nanos = 1000 + i
    return sample


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.bin"


def test_memory_keeps_the_latest() -> None:
    sink = MemorySink(max_samples=3)
    for i in range(5):
        sink.log(_sample(i))
    assert sink.samples == [_sample(2), _sample(3), _sample(4)]
    sink.clear()
    assert sink.samples == []


def test_a_file_returns_what_was_logged(path: Path) -> None:
    samples = [_sample(0), _sample(1, length=500), CacheSample(), CacheSample(key="k")]
    for chunk in (samples[:2], samples[2:]):
        with FileSink(path) as sink:
            for sample in chunk:
                sink.log(sample)
    assert list(read_samples(path)) == samples
    assert path.stat().st_mode & 0o777 == 0o600


def test_other_libraries_read_the_format(path: Path) -> None:
    with FileSink(path) as sink:
        sink.log(_sample(1, length=100))
    data = path.read_bytes()
    payload = _sample(1, length=100).SerializeToString()
    assert data == bytes([len(payload) & 0x7F | 0x80, len(payload) >> 7]) + payload


def test_an_empty_file_and_a_missing_one(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_samples(path))
    path.touch()
    assert list(read_samples(path)) == []


def test_more_than_one_chunk(path: Path) -> None:
    with FileSink(path) as sink:
        for i in range(4000):
            sink.log(_sample(i, length=200))
    assert path.stat().st_size > 2 << 20
    assert list(read_samples(path)) == [_sample(i, length=200) for i in range(4000)]


def test_a_torn_tail_is_skipped_wherever_it_is_torn(path: Path) -> None:
    with FileSink(path) as sink:
        sink.log(_sample(0))
        whole = path.stat().st_size
        sink.log(_sample(1))
    data = path.read_bytes()
    for end in range(whole, len(data)):
        path.write_bytes(data[:end])
        assert list(read_samples(path)) == [_sample(0)]


@pytest.mark.parametrize("seed", range(3))
def test_records_behind_a_torn_one_are_found(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    records = []
    for i in range(200):
        with FileSink(path) as sink:
            sink.log(_sample(i, length=rng.randrange(1, 60)))
        records.append(path.read_bytes())
        path.unlink()
    torn = set(rng.sample(range(200), 20))
    parts = [
        record[: rng.randrange(1, len(record))] if i in torn else record
        for i, record in enumerate(records)
    ]
    path.write_bytes(b"".join(parts))
    found = [sample.encoded_size_bytes for sample in read_samples(path)]
    whole = [i for i in range(200) if i not in torn]
    # A torn record can hide the one behind it, whose first bytes it seems to own.
    assert len(set(whole) - set(found)) <= 2
    assert found == sorted(found)


def test_one_record_is_one_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = os.write

    def counting(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    with FileSink(path) as sink:
        monkeypatch.setattr(os, "write", counting)
        sink.log(_sample(0))
        monkeypatch.undo()
    assert sizes == [path.stat().st_size]


def test_threads_and_processes_do_not_mix_their_records(path: Path) -> None:
    with FileSink(path) as sink:

        def log(first: int) -> None:
            for i in range(first, first + 300):
                sink.log(_sample(i, length=i % 700))

        children = [start_child(partial(log, first)) for first in (0, 300)]
        threads = [threading.Thread(target=log, args=(first,)) for first in (600, 900)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for child in children:
            end_child(child)
    found = {sample.encoded_size_bytes: sample for sample in read_samples(path)}
    assert found == {i: _sample(i, length=i % 700) for i in range(1200)}


def test_what_does_not_fit_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FileSink(path) as sink:
        with pytest.raises(SampleFileError, match="longer than"):
            sink.log(_sample(0, length=1 << 20))
        monkeypatch.setattr(os, "write", lambda _descriptor, _data: 3)
        with pytest.raises(SampleFileError, match="only 3 of"):
            sink.log(_sample(0))
        monkeypatch.undo()
    sink.close()
    with pytest.raises(OSError, match=r"[Bb]ad file"):
        sink.log(_sample(0))
