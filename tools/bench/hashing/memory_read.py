"""How fast the CPU reads memory, which no hash can beat.

`memchr` of the C library looks for a byte that is not there: it loads every vector once, does
almost nothing with it, and writes nothing. Sums (NumPy, PyTorch) and XXH3 came out slower or equal
on the machines tried. Each thread has its own contiguous part, of some MiB at least: below that,
all threads are as many as pay.
"""

import ctypes
from concurrent.futures import ThreadPoolExecutor

from torchstash.tools.bench.checks import equal_to
from torchstash.tools.bench.contestant import Contestant, Trial
from torchstash.tools.bench.hashing.storages import Storages
from torchstash.tools.bench.machine import usable_cores

ONE_THREAD = "memory read, 1 thread"
ALL_THREADS = "memory read, all threads"

_ABSENT_BYTE = 0
_LEAST_BYTES_PER_THREAD = 4 << 20


def contestants() -> list[Contestant[Storages]]:
    """Reading by one thread, and by one for each core."""
    return [
        Contestant(ONE_THREAD, "cpu", _one_thread, is_ceiling=True),
        Contestant(ALL_THREADS, "cpu", _all_threads, is_ceiling=True),
    ]


def _one_thread(storages: Storages) -> Trial:
    [octets] = storages.octets("cpu")
    search = _memchr()
    address, size_bytes = octets.data_ptr(), octets.numel()
    return Trial(lambda: search(address, _ABSENT_BYTE, size_bytes), equal_to(None))


def _all_threads(storages: Storages) -> Trial:
    [octets] = storages.octets("cpu")
    threads = min(usable_cores(), octets.numel() // _LEAST_BYTES_PER_THREAD)
    if threads < 2:
        return _one_thread(storages)
    search = _memchr()
    parts = octets.tensor_split(threads)
    addresses = [part.data_ptr() for part in parts]
    absent = [_ABSENT_BYTE for _ in parts]
    sizes = [part.numel() for part in parts]
    pool = ThreadPoolExecutor(len(parts))
    return Trial(
        lambda: list(pool.map(search, addresses, absent, sizes)),
        equal_to([None for _ in parts]),
        close=pool.shutdown,
    )


def _memchr() -> "ctypes._NamedFuncPointer":
    """Releases the interpreter's lock while it reads. Gives None where it finds nothing."""
    function = ctypes.CDLL(None).memchr
    function.restype = ctypes.c_void_p
    function.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    return function
