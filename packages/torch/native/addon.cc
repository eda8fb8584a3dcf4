// The whole addon as one translation unit: most of its compile time is libtorch's headers, and so they are read once.
#include "allocator.cc"
#include "convert.cc"
#include "core.cc"
#include "grad.cc"
#include "ops_logprob.cc"
#include "runtime.cc"
#include "tensor.cc"
