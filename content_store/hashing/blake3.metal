// BLAKE3 for Metal: a thread for each chunk, then a thread for each parent of the tree.
//
// After the BLAKE3 paper (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020), whose sections are
// cited below; portable.py says the same in tensor operations. Chaining values are rows of 8
// words. Every integer argument is a `long`, which is what torch.mps.compile_shader makes of
// Python's.

#include <metal_stdlib>
using namespace metal;

// Section 2.2: the initial state of SHA-256.
constant uint IV[8] = {
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
};

// Section 2.2: how the message words move between rounds.
constant uchar PERMUTATION[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};

// Section 2.3: what a block is within its chunk and the tree.
constant uint CHUNK_START = 1;
constant uint CHUNK_END = 2;
constant uint PARENT = 4;

inline uint rotated_right(uint word, uint bits) { return (word >> bits) | (word << (32 - bits)); }

// Section 2.2: the quarter-round G.
inline void mix(thread uint* v, uint a, uint b, uint c, uint d, uint x, uint y) {
  v[a] = v[a] + v[b] + x;
  v[d] = rotated_right(v[d] ^ v[a], 16);
  v[c] = v[c] + v[d];
  v[b] = rotated_right(v[b] ^ v[c], 12);
  v[a] = v[a] + v[b] + y;
  v[d] = rotated_right(v[d] ^ v[a], 8);
  v[c] = v[c] + v[d];
  v[b] = rotated_right(v[b] ^ v[c], 7);
}

// Section 2.2: the compression function, its output cut to 8 words and written over `chaining`.
inline void compress(thread uint* chaining, thread uint* m, ulong counter, uint block_bytes, uint flags) {
  uint v[16];
  for (uint i = 0; i < 8; i++) v[i] = chaining[i];
  for (uint i = 0; i < 4; i++) v[8 + i] = IV[i];
  v[12] = uint(counter);
  v[13] = uint(counter >> 32);
  v[14] = block_bytes;
  v[15] = flags;
  for (uint round = 0; round < 7; round++) {
    mix(v, 0, 4, 8, 12, m[0], m[1]);
    mix(v, 1, 5, 9, 13, m[2], m[3]);
    mix(v, 2, 6, 10, 14, m[4], m[5]);
    mix(v, 3, 7, 11, 15, m[6], m[7]);
    mix(v, 0, 5, 10, 15, m[8], m[9]);
    mix(v, 1, 6, 11, 12, m[10], m[11]);
    mix(v, 2, 7, 8, 13, m[12], m[13]);
    mix(v, 3, 4, 9, 14, m[14], m[15]);
    uint moved[16];
    for (uint i = 0; i < 16; i++) moved[i] = m[PERMUTATION[i]];
    for (uint i = 0; i < 16; i++) m[i] = moved[i];
  }
  for (uint i = 0; i < 8; i++) chaining[i] = v[i] ^ v[i + 8];
}

// Section 2.4: the chaining value of one chunk of the `size_bytes` bytes that begin at
// `start`, a multiple of 1024. `root` is the root flag where they are a storage of one chunk.
kernel void chunk_values(
    device const uchar* octets [[buffer(0)]],
    device uint* rows [[buffer(1)]],
    constant long& start [[buffer(2)]],
    constant long& size_bytes [[buffer(3)]],
    constant long& root [[buffer(4)]],
    uint chunk [[thread_position_in_grid]]) {
  const ulong first = ulong(start) + ulong(chunk) * 1024;
  const long after = size_bytes - long(chunk) * 1024;
  const uint chunk_bytes = uint(after < 1024 ? after : 1024);
  const uint last_block = chunk_bytes == 0 ? 0 : (chunk_bytes - 1) / 64;
  uint chaining[8];
  for (uint i = 0; i < 8; i++) chaining[i] = IV[i];
  for (uint block = 0; block <= last_block; block++) {
    const ulong place = first + block * 64;
    const uint left = chunk_bytes - block * 64;
    const uint block_bytes = left < 64 ? left : 64;
    uint m[16];
    if (block_bytes == 64) {
      device const uint* words = (device const uint*)(octets + place);
      for (uint i = 0; i < 16; i++) m[i] = words[i];
    } else {
      for (uint i = 0; i < 16; i++) m[i] = 0;
      for (uint i = 0; i < block_bytes; i++) m[i / 4] |= uint(octets[place + i]) << (8 * (i % 4));
    }
    uint flags = block == 0 ? CHUNK_START : 0;
    if (block == last_block) flags |= CHUNK_END | uint(root);
    compress(chaining, m, first / 1024, block_bytes, flags);
  }
  for (uint i = 0; i < 8; i++) rows[ulong(chunk) * 8 + i] = chaining[i];
}

// Sections 2.1 and 2.5: one row of the next level. Neighbours become parents, and an odd last
// row moves up as it is.
kernel void parent_values(
    device const uint* source [[buffer(0)]],
    device uint* target [[buffer(1)]],
    constant long& source_rows [[buffer(2)]],
    constant long& root [[buffer(3)]],
    uint parent [[thread_position_in_grid]]) {
  device const uint* left = source + ulong(parent) * 16;
  uint chaining[8];
  if (long(parent) * 2 + 1 == source_rows) {
    for (uint i = 0; i < 8; i++) chaining[i] = left[i];
  } else {
    uint m[16];
    for (uint i = 0; i < 16; i++) m[i] = left[i];
    for (uint i = 0; i < 8; i++) chaining[i] = IV[i];
    compress(chaining, m, 0, 64, PARENT | uint(root));
  }
  for (uint i = 0; i < 8; i++) target[ulong(parent) * 8 + i] = chaining[i];
}
