// What all kernels share. A text is compiled by NVRTC, and by nvcc and g++ in tests; the latter go before it with what
// makes a thread of them (tests/support/simulated-cuda/host-kernels.h). So that a loop over threads can stand for them, a
// kernel waits for all threads of its block at one place at most, behind which the first thread works alone.
// NVRTC has no header of the C library: none is included.

#ifndef KERNEL
// A kernel takes one struct, known in it as `a`.
#define KERNEL(name, Arguments) extern "C" __global__ void __launch_bounds__(256) name(const Arguments a)
#define WAIT_FOR_BLOCK() __syncthreads()

// What lies at an address of the device.
template <class T>
__device__ T* at(unsigned long long address) {
  return reinterpret_cast<T*>(address);
}
#endif

struct bf16 {
  unsigned short bits;
};

__device__ inline unsigned bitsOf(float x) {
  union {
    float number;
    unsigned bits;
  } both;
  both.number = x;
  return both.bits;
}
__device__ inline unsigned bitsOf(bf16 x) { return x.bits; }

__device__ inline float toFloat(float x) { return x; }
__device__ inline float toFloat(bf16 x) {
  union {
    unsigned bits;
    float number;
  } both;
  both.bits = static_cast<unsigned>(x.bits) << 16;
  return both.number;
}

// The nearest number of a type, of two equally near ones the even; NaN stays NaN.
template <class T>
__device__ T rounded(float x);
template <>
__device__ inline float rounded<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 rounded<bf16>(float x) {
  if (x != x) return {0x7fc0};
  const unsigned bits = bitsOf(x);
  return {static_cast<unsigned short>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

// Four neighbours, which are read and written at once. Addresses are multiples of their size.
template <class T>
struct alignas(4 * sizeof(T)) Four {
  T at[4];
};

// Elements i ... i + 3 of n, zeros beyond the last: one after the other, for addresses of any kind, or at once.
template <class T>
__device__ Four<T> readEach(const T* from, long long i, long long n) {
  Four<T> x = {};
  for (int k = 0; k < 4; k++) {
    if (i + k < n) x.at[k] = from[i + k];
  }
  return x;
}

template <class T>
__device__ Four<T> readFour(const T* from, long long i, long long n) {
  return i + 4 <= n ? *reinterpret_cast<const Four<T>*>(from + i) : readEach(from, i, n);
}

template <class T>
__device__ void writeEach(T* to, long long i, long long n, const Four<T>& x) {
  for (int k = 0; k < 4; k++) {
    if (i + k < n) to[i + k] = x.at[k];
  }
}

template <class T>
__device__ void writeFour(T* to, long long i, long long n, const Four<T>& x) {
  if (i + 4 <= n) *reinterpret_cast<Four<T>*>(to + i) = x;
  else writeEach(to, i, n, x);
}
