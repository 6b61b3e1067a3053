"""`connect_timeout`, `timeout` and `min_rate`: options of every remote engine.

`open_backend` takes them; the engine gets them by `url_timeouts`.
"""

from typing import Any, Final

from torchstash.cache.opening.option_types import SECONDS, SIZE_BYTES, OptionType

# By the fields of `Timeouts`.
TIMEOUT_OPTIONS: Final[dict[str, OptionType[Any]]] = {
    "connect_seconds": SECONDS.named("connect_timeout"),
    "operation_seconds": SECONDS.named("timeout"),
    "bytes_per_second": SIZE_BYTES.named("min_rate"),
}
