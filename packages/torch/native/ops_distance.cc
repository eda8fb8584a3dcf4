// reanchor::squared_distance(Tensor[] a, Tensor[] b) -> float
//
// sum of (a - b)^2 over all elements of all tensors, in float64 over blocks that float32 sums well; with an empty list
// for `b`, of a^2. One pass over memory and nothing is allocated, where subtracting first would write and read again.
#include "addon.h"
#include "kernels.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <torch/library.h>

namespace reanchor::distance {

using at::Tensor;

REANCHOR_INLINE double block(const float* a, const float* b, int64_t n) {
  constexpr int64_t kBlock = 64 * kLane;
  double total = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t end = std::min(first + kBlock, n);
    Lane part = {};
    int64_t i = first;
    for (; i + kLane <= end; i += kLane) {
      const Lane d = b ? load(a + i) - load(b + i) : load(a + i);
      part += d * d;
    }
    total += sum(part);
    for (; i < end; i++) {
      const double d = b ? a[i] - b[i] : a[i];
      total += d * d;
    }
  }
  return total;
}
REANCHOR_WIDE static double blockWide(const float* a, const float* b, int64_t n) { return block(a, b, n); }
static double blockAny(const float* a, const float* b, int64_t n) { return block(a, b, n); }

static bool hasKernel(const Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
}

static double squaredDistance(at::TensorList a, at::TensorList b) {
  TORCH_CHECK(b.empty() || a.size() == b.size(), "squared_distance takes as many tensors in b as in a, or none; got ",
              a.size(), " and ", b.size());
  // The parts are added in order, so that the result does not depend on which thread is done first.
  constexpr int64_t kPart = 1 << 16;
  const auto run = isWide() ? blockWide : blockAny;
  double total = 0;
  for (size_t t = 0; t < a.size(); t++) {
    TORCH_CHECK(b.empty() || a[t].sizes() == b[t].sizes(), "tensor ", t, " has shape ", a[t].sizes(), " in a and ",
                b.empty() ? a[t].sizes() : b[t].sizes(), " in b");
    if (!hasKernel(a[t]) || (!b.empty() && !hasKernel(b[t]))) {
      const Tensor difference = b.empty() ? a[t] : a[t].sub(b[t]);
      const double norm = at::linalg_vector_norm(difference.to(at::kDouble), 2).item<double>();
      total += norm * norm;
      continue;
    }
    const int64_t n = a[t].numel(), parts = (n + kPart - 1) / kPart;
    const float* from = a[t].const_data_ptr<float>();
    const float* other = b.empty() ? nullptr : b[t].const_data_ptr<float>();
    std::vector<double> sums(static_cast<size_t>(parts));
    parallel(parts, n, [&](int64_t first, int64_t end) {
      for (int64_t p = first; p < end; p++) {
        const int64_t start = p * kPart;
        sums[p] = run(from + start, other ? other + start : nullptr, std::min(kPart, n - start));
      }
    });
    for (const double part : sums) total += part;
  }
  return total;
}

static void registerOps(torch::Library& library) {
  library.def("squared_distance(Tensor[] a, Tensor[] b) -> float");
  library.impl("squared_distance",
               torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(squaredDistance)));
}

}  // namespace reanchor::distance
