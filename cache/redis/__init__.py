"""Redis and Valkey, single servers and clusters."""

from torchstash.cache.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
