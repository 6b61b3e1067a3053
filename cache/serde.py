"""Between the values of a cache and the data of its backend."""

from abc import abstractmethod
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class RemoteCacheSerde(Generic[T, U]):
    """Turns values of type `T` into data of type `U`, usually `bytes`, and back."""

    @abstractmethod
    def encode(self, data: T) -> U:
        """The data that stand for a value."""
        raise NotImplementedError

    @abstractmethod
    def decode(self, data: U) -> T:
        """The value that the data stand for.

        Raises:
            ValueError: They are no encoded value.
        """
        raise NotImplementedError
