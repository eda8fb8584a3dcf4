// The arguments of kernels/swiglu.cu, for it and for ops_swiglu.cc. Addresses are numbers, 0 for none.
#pragma once

// Tensors of one size and type, NUMBER.
struct Swiglu {
  // The elements that a block has.
  static constexpr long long kElementsOfBlock = 4096;

  unsigned long long gate, up;
  unsigned long long y;                     // written by swiglu
  unsigned long long slope;                 // the gradient of y, read by swiglu_backward
  unsigned long long gate_slope, up_slope;  // written by it; none where a gradient is not asked for
  long long elements;
};
