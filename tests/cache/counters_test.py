import threading

from torchstash.cache import CacheCount, CacheCounters


def test_counts_by_name() -> None:
    counters = CacheCounters()
    counters.get("b", None)
    counters.get("b", b"")
    counters.hit("b")
    counters.miss("b", 2)
    counters.put("a", 3)
    counters.exception("a")
    counters.dropped_sample("a")
    assert counters.snapshot() == {
        "a": CacheCount(put=3, exception=1, dropped_sample=1),
        "b": CacheCount(hit=2, miss=3),
    }
    assert list(counters.snapshot()) == ["a", "b"]
    assert str(counters).splitlines()[1] == (
        "b: {hit: 2, miss: 3, put: 0, exception: 0, dropped_sample: 0}"
    )


def test_a_snapshot_stays_as_it_was() -> None:
    counters = CacheCounters()
    counters.hit("a")
    before = counters.snapshot()
    counters.hit("a")
    assert before == {"a": CacheCount(hit=1)}
    counters.clear()
    assert counters.snapshot() == {}


def test_no_count_is_lost_between_threads() -> None:
    counters = CacheCounters()

    def work() -> None:
        for _ in range(5000):
            counters.hit("a")
            counters.get("a", None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.snapshot() == {"a": CacheCount(hit=20_000, miss=20_000)}
