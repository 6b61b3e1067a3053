"""Rows of a SQLite database of which pages may be damaged (sqlite.org/fileformat2.html, section 1).

A walk from the root of a table gives the rows of all pages that it reaches, in their order, and
takes nothing for granted: a page or a row that makes no sense is counted and passed over. What a
damaged page led to is no longer reached. But every page of a database is in a table, or free: so,
where the list of free pages is whole, what is in neither belongs to the rows that are missing.
"""

from collections.abc import Iterator

from torchstash.cache.disk.salvage.image import CatalogueImage
from torchstash.cache.disk.salvage.record import (
    DamagedRecordError,
    Value,
    decode_record,
    signed,
    varint,
)
from torchstash.cache.disk.schema import PAGE_SIZE_BYTES

_MAGIC = b"SQLite format 3\0"
# What every database has there.
_PAYLOAD_FRACTIONS = bytes((64, 32, 32))
_HEADER_BYTES = 100
_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_KINDS = {True: (_TABLE_INTERIOR, _TABLE_LEAF), False: (_INDEX_INTERIOR, _INDEX_LEAF)}
_DEEPEST = 40
# Of a payload at most so much lies in its page, of which the least is this; the rest overflows.
_TABLE_LOCAL_BYTES = PAGE_SIZE_BYTES - 35
_INDEX_LOCAL_BYTES = (PAGE_SIZE_BYTES - 12) * 64 // 255 - 23
_LEAST_LOCAL_BYTES = (PAGE_SIZE_BYTES - 12) * 32 // 255 - 23

# The rowid, of a table that has one, and the columns.
Row = tuple[int | None, tuple[Value, ...]]


class TreeWalk:
    """Walks through the pages of `image`.

    Attributes:
        damaged_pages: Pages that could not be read, or not in full.
    """

    def __init__(self, image: CatalogueImage) -> None:
        self._image = image
        self._reached: set[int] = set()
        self.damaged_pages: set[int] = set()

    def rows(self, root: int, *, is_table: bool) -> Iterator[Row]:
        """The rows of a table with rowids, or of an index or a table without, in their order."""
        yield from self._visit(root, is_table, 0)

    def missing_rows(self, *, is_table: bool) -> Iterator[Row]:
        """Rows of pages that nothing leads to any more. After all tables were walked through.

        None where the list of free pages is damaged: they might be rows that were deleted.
        """
        free = self._free_pages()
        if free is None:
            return
        for number in range(1, self._image.page_count + 1):
            page = self._image.page(number)
            if number not in self._reached and number not in free and page[0] in _KINDS[is_table]:
                yield from self._rows_of(number, page, page[0], None)

    def _free_pages(self) -> set[int] | None:
        header = self._image.page(1)[:_HEADER_BYTES]
        # Zeros would say that no page is free.
        if not header.startswith(_MAGIC) and header[21:24] != _PAYLOAD_FRACTIONS:
            return None
        trunk, count = _number(header, 32), _number(header, 36)
        free: set[int] = set()
        while trunk and trunk not in free and trunk <= self._image.page_count:
            free.add(trunk)
            page = self._image.page(trunk)
            leaves = _number(page, 4)
            if leaves > PAGE_SIZE_BYTES // 4 - 2:
                return None
            free.update(_number(page, 8 + 4 * i) for i in range(leaves))
            trunk = _number(page, 0)
        in_use = free & self._reached or not free <= set(range(2, self._image.page_count + 1))
        return free if len(free) == count and not trunk and not in_use else None

    def _visit(self, number: int, is_table: bool, depth: int) -> Iterator[Row]:
        is_there = 1 <= number <= self._image.page_count
        if number in self._reached or depth > _DEEPEST or not is_there:
            self.damaged_pages.add(number)
            return
        page = self._image.page(number)
        kind = page[_HEADER_BYTES if number == 1 else 0]
        if kind in _KINDS[not is_table]:
            # What led here is damaged, and not the page: another walk comes to it.
            self.damaged_pages.add(number)
            return
        self._reached.add(number)
        if kind not in _KINDS[is_table]:
            self.damaged_pages.add(number)
            # What it holds may be whole.
            kind = _KINDS[is_table][0 if self._is_like_inner(page, number) else 1]
        yield from self._rows_of(number, page, kind, depth)

    def _is_like_inner(self, page: bytes, number: int) -> bool:
        """Whether a page leads to others, by all that it would lead to."""
        start = _HEADER_BYTES if number == 1 else 0
        count = int.from_bytes(page[start + 3 : start + 5])
        cells = page[start + 12 : start + 12 + 2 * count]
        led_to = [_number(page, start + 8)]
        led_to += [_number(page, int.from_bytes(cells[i : i + 2])) for i in range(0, 2 * count, 2)]
        return all(1 < child <= self._image.page_count for child in led_to)

    def _rows_of(self, number: int, page: bytes, kind: int, depth: int | None) -> Iterator[Row]:
        """The rows of a page and, unless `depth` is None, of those that it leads to."""
        is_table = kind in _KINDS[True]
        is_inner = kind in (_INDEX_INTERIOR, _TABLE_INTERIOR)
        start = _HEADER_BYTES if number == 1 else 0
        cells = start + (12 if is_inner else 8)
        count = min(int.from_bytes(page[start + 3 : start + 5]), (PAGE_SIZE_BYTES - cells) // 2)
        for i in range(count):
            at = int.from_bytes(page[cells + 2 * i : cells + 2 * i + 2])
            if is_inner:
                if depth is not None:
                    yield from self._visit(_number(page, at), is_table, depth + 1)
                if is_table:
                    continue
                at += 4
            try:
                yield self._row(page, at, is_table=is_table)
            except DamagedRecordError:
                self.damaged_pages.add(number)
        if is_inner and depth is not None:
            yield from self._visit(_number(page, start + 8), is_table, depth + 1)

    def _row(self, page: bytes, at: int, *, is_table: bool) -> Row:
        size_bytes, at = varint(page, at)
        rowid = None
        if is_table:
            rowid, at = varint(page, at)
        most = _TABLE_LOCAL_BYTES if is_table else _INDEX_LOCAL_BYTES
        payload = page[at : at + size_bytes]
        if size_bytes > most:
            local = _LEAST_LOCAL_BYTES
            local += (size_bytes - local) % (PAGE_SIZE_BYTES - 4)
            if local > most:
                local = _LEAST_LOCAL_BYTES
            payload = page[at : at + local]
            payload += self._overflow(_number(page, at + local), size_bytes - len(payload))
        if len(payload) != size_bytes:
            raise DamagedRecordError("a row that does not fit into its page")
        return None if rowid is None else signed(rowid), decode_record(payload)

    def _overflow(self, number: int, size_bytes: int) -> bytes:
        found = bytearray()
        while len(found) < size_bytes:
            if number in self._reached or not 1 <= number <= self._image.page_count:
                raise DamagedRecordError("a row of which a page is gone")
            self._reached.add(number)
            page = self._image.page(number)
            found += page[4 : 4 + size_bytes - len(found)]
            number = _number(page, 0)
        return bytes(found)


def _number(page: bytes, at: int) -> int:
    return int.from_bytes(page[at : at + 4])
