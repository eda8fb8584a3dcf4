// Makes functions of the host of the texts in packages/torch/native/kernels: it goes before them. Blocks and threads
// run one after the other, threads from the last to the first: where a kernel waits for its block, all others have
// come already when the first thread does, and behind that place it is the first that works.
#include <cmath>

#define __device__
#define __shared__ static
#define WAIT_FOR_BLOCK() static_cast<void>(0)

struct Index {
  unsigned x;
};
static Index blockIdx, threadIdx, blockDim;

#define KERNEL(name, Arguments)                                                       \
  static void name##OfThread(const Arguments& a);                                     \
  extern "C" void name(unsigned blocks, unsigned threads, const void* arguments) {    \
    blockDim.x = threads;                                                             \
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)                           \
      for (unsigned t = threads; t-- > 0;) {                                          \
        threadIdx.x = t;                                                              \
        name##OfThread(*static_cast<const Arguments*>(arguments));                    \
      }                                                                               \
  }                                                                                   \
  static void name##OfThread(const Arguments& a)

// Addresses of the simulated device, without the tag that keeps the host from reading them.
template <class T>
static T* at(unsigned long long address) {
  return reinterpret_cast<T*>(address & ~(1ull << 62));
}
