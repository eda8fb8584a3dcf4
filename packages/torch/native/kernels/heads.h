// The arguments of kernels/heads.cu, for it and for ops_heads.cc. Addresses are numbers, 0 for none.
#pragma once

// Heads of all tokens, from where they are read to where they are written. What lies between tokens and between heads
// is told in elements; channels are neighbours.
struct HeadsPart {
  unsigned long long from, to;  // NUMBER
  // int: the tokens that are read of each written one t, added up: rows[t], or rows[ends[t]] ... rows[ends[t + 1] - 1];
  // t itself where there are none.
  unsigned long long rows, ends;
  long long tokens;  // that are written
  long long from_token, from_head, to_token, to_head;
  int heads;
  int turned;  // whether they are rotated; else they are copied
};

struct Heads {
  HeadsPart parts[3];
  unsigned long long cos, sin;  // NUMBER [tokens, rotary]
  int count;                    // of parts
  int channels, rotary;         // of a head, and those of them that are rotated, an even number
  int by_four;                  // whether four neighbours lie at a multiple of their size, everywhere
  float direction;              // 1, or -1 for the rotation back
};
