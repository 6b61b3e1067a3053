"""How long an engine waits for its server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The time budget of one operation. It bounds the whole, not each read of a socket.

    Attributes:
        connect_seconds: Until a connection stands, TLS included. Name look-up is the system's, and
            has the system's own limit.
        operation_seconds: From the request to the answer, beside the time for the bytes.
        bytes_per_second: The slowest transfer that is waited for: an operation may take longer
            by the time that its bytes take at this rate. A slow drip is so cut off.

    Raises:
        ValueError: A number is not positive.
    """

    connect_seconds: float = 0.25
    operation_seconds: float = 1.0
    bytes_per_second: float = 16 << 20

    def __post_init__(self) -> None:
        for name in ("connect_seconds", "operation_seconds", "bytes_per_second"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")

    def for_bytes(self, size_bytes: int) -> float:
        """The seconds that an operation may take which moves `size_bytes`."""
        return self.operation_seconds + size_bytes / self.bytes_per_second
