"""What the engines that speak over sockets share: time budgets, TLS, dialling, idle connections."""

from torchstash.cache.network.connection_pool import ConnectionPool
from torchstash.cache.network.dial import dial
from torchstash.cache.network.timeouts import Timeouts
from torchstash.cache.network.tls import TlsSettings

__all__ = ["ConnectionPool", "Timeouts", "TlsSettings", "dial"]
