"""BLAKE3 for Triton: a lane for each chunk, then a lane for each parent of the tree.

After the BLAKE3 paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020), whose sections
are cited below; `portable.py` says the same in tensor operations. What makes it fast:

- A lane keeps the state and the message of its chunk in registers. Its 64 bytes of a
  block come as four loads of 128 bits, which stay in the lane: a tensor of [lanes, 4]
  words has a row in each lane, and splitting it moves nothing.
- The loop over the rounds is written as a loop, so that Triton has little to compile;
  its compiler's back end unrolls it, and the permutation of the message is free.
- Everything else (chaining values, the tree) is one sixteenth of the arithmetic.

Words are uint32: additions wrap, and shifts to the right bring in zeros.
"""

import triton
import triton.language as tl

_CHUNK_START = tl.constexpr(1)
_CHUNK_END = tl.constexpr(2)
_PARENT = tl.constexpr(4)


@triton.jit
def _mixed(a, b, c, d, x, y):
    """Section 2.2: the quarter-round G."""
    a = a + b + x
    d = d ^ a
    d = (d >> 16) | (d << 16)
    c = c + d
    b = b ^ c
    b = (b >> 12) | (b << 20)
    a = a + b + y
    d = d ^ a
    d = (d >> 8) | (d << 24)
    c = c + d
    b = b ^ c
    b = (b >> 7) | (b << 25)
    return a, b, c, d


@triton.jit
def _round(v, m):
    """Section 2.2: the columns of the 4 x 4 state, then its diagonals."""
    v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 = v
    m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15 = m
    v0, v4, v8, v12 = _mixed(v0, v4, v8, v12, m0, m1)
    v1, v5, v9, v13 = _mixed(v1, v5, v9, v13, m2, m3)
    v2, v6, v10, v14 = _mixed(v2, v6, v10, v14, m4, m5)
    v3, v7, v11, v15 = _mixed(v3, v7, v11, v15, m6, m7)
    v0, v5, v10, v15 = _mixed(v0, v5, v10, v15, m8, m9)
    v1, v6, v11, v12 = _mixed(v1, v6, v11, v12, m10, m11)
    v2, v7, v8, v13 = _mixed(v2, v7, v8, v13, m12, m13)
    v3, v4, v9, v14 = _mixed(v3, v4, v9, v14, m14, m15)
    return v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15


@triton.jit
def _permuted(m):
    """Section 2.2: how the message words move between rounds."""
    m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15 = m
    return m2, m6, m3, m10, m7, m0, m4, m13, m1, m11, m12, m5, m9, m14, m15, m8


@triton.jit
def _words(value: tl.constexpr, LANES: tl.constexpr):
    return tl.full((LANES,), value, tl.uint32)


@triton.jit
def _initial(LANES: tl.constexpr):
    """Section 2.2: the initial state of SHA-256."""
    return (
        _words(0x6A09E667, LANES),
        _words(0xBB67AE85, LANES),
        _words(0x3C6EF372, LANES),
        _words(0xA54FF53A, LANES),
        _words(0x510E527F, LANES),
        _words(0x9B05688C, LANES),
        _words(0x1F83D9AB, LANES),
        _words(0x5BE0CD19, LANES),
    )


@triton.jit
def _compressed(chaining, m, counter_low, counter_high, block_bytes, flags, LANES: tl.constexpr):
    """Section 2.2: the compression function, its output cut to 8 words."""
    iv = _initial(LANES)
    parameters = (counter_low, counter_high, block_bytes, flags)
    v = chaining + (iv[0], iv[1], iv[2], iv[3]) + parameters
    for _ in range(6):
        v = _round(v, m)
        m = _permuted(m)
    v = _round(v, m)
    return (
        v[0] ^ v[8],
        v[1] ^ v[9],
        v[2] ^ v[10],
        v[3] ^ v[11],
        v[4] ^ v[12],
        v[5] ^ v[13],
        v[6] ^ v[14],
        v[7] ^ v[15],
    )


@triton.jit
def _four_words(pointer, LANES: tl.constexpr):
    """The four words at each of the pointers, which are multiples of 16 bytes."""
    words = tl.load(pointer[:, None] + tl.arange(0, 4)[None, :])
    words = tl.reshape(words.to(tl.uint32, bitcast=True), (LANES, 2, 2))
    even, odd = tl.split(words)
    first, third = tl.split(even)
    second, fourth = tl.split(odd)
    return first, second, third, fourth


@triton.jit
def _sixteen_words(pointer, LANES: tl.constexpr):
    low = _four_words(pointer, LANES) + _four_words(pointer + 4, LANES)
    high = _four_words(pointer + 8, LANES) + _four_words(pointer + 12, LANES)
    return low + high


@triton.jit
def _store_row(pointer, row, mask, LANES: tl.constexpr):
    """Stores 8 words of each lane, as two stores of 128 bits."""
    mask = mask[:, None]
    places = pointer[:, None] + tl.arange(0, 4)[None, :]
    low = tl.join(tl.join(row[0], row[2]), tl.join(row[1], row[3]))
    high = tl.join(tl.join(row[4], row[6]), tl.join(row[5], row[7]))
    tl.store(places, tl.reshape(low, (LANES, 4)).to(tl.int32, bitcast=True), mask)
    tl.store(places + 4, tl.reshape(high, (LANES, 4)).to(tl.int32, bitcast=True), mask)


@triton.jit
def _owner(table, steps, item):
    """The last row of the table that begins at or before `item`."""
    row = item * 0
    for step in range(steps):
        candidate = row + (1 << (steps - 1 - step))
        row = tl.where(tl.load(table + candidate) <= item, candidate, row)
    return row


@triton.jit(do_not_specialize=["steps"])
def padded_chunks(runs, steps, padding):
    """Copies each chunk of `runs`, byte by byte, to a chunk of `padding`, zeros behind it.

    Args:
        runs: int64 [3, 1 << steps]: first program, address, bytes.
        steps: Binary logarithm of the length of `runs`.
        padding: int32 [programs, 256].
    """
    program = tl.program_id(0)
    columns = 1 << steps
    run = runs + _owner(runs, steps, program)
    start = (program - tl.load(run)) * 1024
    pointer = (tl.load(run + columns) + start).to(tl.pointer_type(tl.uint8))
    size_bytes = tl.load(run + 2 * columns) - start
    places = tl.arange(0, 1024)
    octets = tl.load(pointer + places, mask=places < size_bytes, other=0)
    tl.store(padding.to(tl.pointer_type(tl.uint8)) + program * 1024 + places, octets)


@triton.jit(do_not_specialize=["steps", "lanes"])
def chunk_values(runs, steps, lanes, padding, rows, LANES: tl.constexpr):
    """Section 2.4: the chaining value of each chunk of `runs`, to `rows`.

    Every chunk begins at a multiple of 16 bytes, and 1024 bytes can be read there.

    Args:
        runs: int64 [6, 1 << steps]: first lane, address, bytes, first chunk, root flag, 1
            where the address is an offset in `padding`.
        steps: Binary logarithm of the length of `runs`.
        lanes: Chunks of all runs together.
        padding: What `padded_chunks` has copied.
        rows: int32 [lanes, 8].
        LANES: Chunks of one program.
    """
    lane = tl.program_id(0) * LANES + tl.arange(0, LANES)
    is_active = lane < lanes
    lane = tl.minimum(lane, lanes - 1)
    columns = 1 << steps
    run = runs + _owner(runs, steps, lane)
    nth = lane - tl.load(run)
    address = tl.load(run + columns) + nth * 1024
    address += tl.load(run + 5 * columns) * padding.to(tl.int64)
    size_bytes = tl.minimum(tl.load(run + 2 * columns) - nth * 1024, 1024).to(tl.int32)
    counter = tl.load(run + 3 * columns) + nth
    root = tl.load(run + 4 * columns).to(tl.uint32)

    pointer = tl.multiple_of(address.to(tl.pointer_type(tl.int32)), 16)
    counter_low = counter.to(tl.uint32)
    counter_high = (counter >> 32).to(tl.uint32)
    last_block = tl.maximum(size_bytes - 1, 0) // 64
    chaining = _initial(LANES)
    for block in range(16):
        message = _sixteen_words(pointer + block * 16, LANES)
        block_bytes = tl.minimum(tl.maximum(size_bytes - block * 64, 0), 64).to(tl.uint32)
        flags = tl.where(block == 0, _CHUNK_START, 0).to(tl.uint32)
        flags = flags + tl.where(last_block == block, _CHUNK_END + root, _words(0, LANES))
        after = _compressed(chaining, message, counter_low, counter_high, block_bytes, flags, LANES)
        # A chunk that ended before this block keeps the value it ended with.
        is_inside = block <= last_block
        chaining = (
            tl.where(is_inside, after[0], chaining[0]),
            tl.where(is_inside, after[1], chaining[1]),
            tl.where(is_inside, after[2], chaining[2]),
            tl.where(is_inside, after[3], chaining[3]),
            tl.where(is_inside, after[4], chaining[4]),
            tl.where(is_inside, after[5], chaining[5]),
            tl.where(is_inside, after[6], chaining[6]),
            tl.where(is_inside, after[7], chaining[7]),
        )
    _store_row(rows + lane * 8, chaining, is_active, LANES)


@triton.jit(do_not_specialize=["steps"])
def parent_values(
    trees,
    steps,
    source,
    target,
    SPAN: tl.constexpr,
    LEVELS: tl.constexpr,
    LANES: tl.constexpr,
):
    """Sections 2.1 and 2.5: up to LEVELS levels of each tree, SPAN rows for each program.

    Neighbours become parents, and an odd last row moves up as it is. All but the last
    level are computed in place, which overwrites `source`.

    Args:
        trees: int64 [5, 1 << steps]: first program, source row, rows, target row, root flag.
        steps: Binary logarithm of the length of `trees`.
        source: int32 [rows, 8].
        target: int32 [rows, 8], as many rows as the trees have left.
        SPAN: A multiple of 1 << LEVELS.
        LEVELS: With 1, no lane reads what another has written.
        LANES: Parents at a time.
    """
    program = tl.program_id(0)
    columns = 1 << steps
    tree = trees + _owner(trees, steps, program)
    nth = (program - tl.load(tree)).to(tl.int32)
    rows = tl.load(tree + 2 * columns).to(tl.int32)
    from_row = tl.load(tree + columns).to(tl.int32) + nth * SPAN
    to_row = tl.load(tree + 3 * columns).to(tl.int32) + nth * (SPAN >> LEVELS)
    root = tl.load(tree + 4 * columns).to(tl.uint32)
    root = tl.where(rows <= SPAN, root, 0)
    count = tl.minimum(rows - nth * SPAN, SPAN)

    read = source + from_row * 8
    written = target + to_row * 8
    # The levels until one row is left, or all.
    levels = 0
    for level in tl.static_range(LEVELS):
        levels += (count > (1 << level)).to(tl.int32)
    if levels == 0:
        _copy_row(read, written)
    for level in range(levels):
        pairs = count // 2
        is_last = level == levels - 1
        flags = _PARENT + tl.where(count == 2, root, 0)
        for start in range(0, pairs, LANES):
            pair = start + tl.arange(0, LANES)
            message = _sixteen_words(read + tl.minimum(pair, pairs - 1) * 16, LANES)
            zeros = _words(0, LANES)
            parents = _compressed(
                _initial(LANES),
                message,
                zeros,
                zeros,
                _words(64, LANES),
                zeros + flags.to(tl.uint32),
                LANES,
            )
            if is_last:
                _store_row(written + pair * 8, parents, pair < pairs, LANES)
            else:
                # Other lanes have read the rows that this one overwrites.
                tl.debug_barrier()
                _store_row(read + pair * 8, parents, pair < pairs, LANES)
                tl.debug_barrier()
        if count % 2 == 1:
            if is_last:
                _copy_row(read + (count - 1) * 8, written + pairs * 8)
            else:
                _copy_row(read + (count - 1) * 8, read + pairs * 8)
                tl.debug_barrier()
        count = pairs + count % 2


@triton.jit
def _copy_row(source, target):
    words = tl.arange(0, 8)
    tl.store(target + words, tl.load(source + words))
