// What hand-written kernels of the CPU share: libtorch's threads, lanes of eight floats, and e^x of them.
#pragma once

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstdint>

// libtorch's own OpenMP threads, through the entry that every compiler's `#pragma omp parallel` calls; where libtorch
// runs on another library the symbols are absent and a kernel runs on one thread.
extern "C" {
__attribute__((weak)) void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
__attribute__((weak)) int omp_get_thread_num();
__attribute__((weak)) int omp_get_num_threads();
}

#define REANCHOR_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
// A kernel is compiled twice, for any x86-64 and for AVX2, and chosen at run time.
#define REANCHOR_WIDE __attribute__((target("avx2,fma")))
#else
#define REANCHOR_WIDE
#endif

namespace reanchor {

// Lanes cross no call: what takes or gives one is inlined.
#pragma GCC diagnostic ignored "-Wpsabi"
typedef float Lane __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t IntLane __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t HalfLane __attribute__((vector_size(16), aligned(2), may_alias));
constexpr int64_t kLane = 8;

static bool isWide() {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return wide;
#else
  return false;
#endif
}

REANCHOR_INLINE Lane load(const float* from) { return *reinterpret_cast<const Lane*>(from); }
REANCHOR_INLINE Lane load(const c10::BFloat16* from) {
  return (Lane)(__builtin_convertvector(*reinterpret_cast<const HalfLane*>(from), IntLane) << 16);
}
REANCHOR_INLINE void store(float* to, const Lane& lane) { *reinterpret_cast<Lane*>(to) = lane; }
REANCHOR_INLINE float sum(const Lane& a) { return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7])); }

// e^x of lanes, for x <= 0: 2^n times a polynomial in what is left; relative error 2e-7 (Cephes' coefficients). Below
// -87 it stays at 1.6e-38; NaN stays NaN.
REANCHOR_INLINE void expLanes(Lane& x) {
  const Lane lowest = Lane{} - 87.0f;
  x = x < lowest ? lowest : x;
  const Lane turns = x * 1.44269504088896341f - 0.5f;
  const IntLane n = __builtin_convertvector(turns, IntLane);
  const Lane whole = __builtin_convertvector(n, Lane);
  const Lane r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
  Lane y = r * 1.9875691500e-4f + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  x = y * (Lane)((n + 127) << 23);
}

template <typename F>
struct Parallel {
  const F& body;
  int64_t total;
  static void run(void* data) {
    const auto& self = *static_cast<Parallel*>(data);
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    self.body(self.total * thread / threads, self.total * (thread + 1) / threads);
  }
};

// body(first, end) over [0, total), on as many threads as the work is worth; `work` is in multiply-adds.
template <typename F>
static void parallel(int64_t total, int64_t work, const F& body) {
  constexpr int64_t kWorth = 1 << 17;  // waking a thread costs about as much as so many
  const int64_t threads = std::min<int64_t>({at::get_num_threads(), work / kWorth, total});
  if (threads <= 1 || !GOMP_parallel || !omp_get_thread_num || !omp_get_num_threads) return body(0, total);
  Parallel<F> job{body, total};
  GOMP_parallel(Parallel<F>::run, &job, static_cast<unsigned>(threads), 0);
}

}  // namespace reanchor
