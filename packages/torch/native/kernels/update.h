// The arguments of kernels/update.cu, for it and for ops_update.cc. Addresses are numbers, 0 for none.
#pragma once

// A tensor, and what moves with it. All have as many elements; those of one name have one type.
struct Tensors {
  unsigned long long weight;             // WEIGHT
  unsigned long long rounded;            // bf16; none where the model computes with the weight itself
  unsigned long long gradient;           // WEIGHT; none where no step is made
  unsigned long long mean, square;       // WEIGHT: the moments of AdamW
  unsigned long long reference;          // REFERENCE; none without a reference
  unsigned long long rounded_reference;  // bf16; none where it computes with the reference itself
  long long elements;
  float keep;       // 1 - lr * decay
  int first_block;  // of the blocks that have its elements
};

// What a block has seen of a reference.
struct Seen {
  double before, after;      // sums of (reference - weight)^2
  double norm;               // sum of reference^2
  unsigned long long words;  // sum of its bits
};

struct Update {
  unsigned long long tensors, seen;  // Tensors[count], Seen[blocks]
  int count;
  int moves;  // whether references are moved; they are measured in any case
  float factor;                                                            // of gradients
  float step_size, mean_share, square_keep, square_share, correction, eps;  // of AdamW
  float share, rest;                                                       // of a weight in its reference, 1 - share
};

// The elements that a block has.
constexpr long long kElementsOfBlock = 65536;
