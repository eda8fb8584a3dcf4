// The distance of two lists of tensors, and one list moved towards the other: in one pass over memory each, where
// libtorch's own operators would take several and write what is in between.
//
// reanchor::squared_distance(Tensor[] a, Tensor[] b) -> float
//
// sum of (a - b)^2 over all elements of all tensors, in float64 over blocks that float32 sums well; with an empty list
// for `b`, of a^2. Differences of 16-bit numbers are float32.
//
// reanchor::move_towards_(Tensor(a!)[] a, Tensor[] b, float share) -> float[]
//
// a <- a + share (b - a), as aten::lerp_ rounds it, and sums over all elements in float64: of (a - b)^2 before and
// after, and of a^2 after. `b` may have another floating dtype than `a`.
#include "addon.h"
#include "kernels.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <torch/library.h>

#include <optional>

namespace reanchor::distance {

using at::Tensor;

template <typename A, typename B>
REANCHOR_INLINE double block(const A* a, const B* b, int64_t n) {
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
      const double d = static_cast<float>(a[i]) - (b ? static_cast<float>(b[i]) : 0.0f);
      total += d * d;
    }
  }
  return total;
}

using Block = double (*)(const void* a, const void* b, int64_t n);
template <typename A, typename B>
REANCHOR_WIDE static double blockWide(const void* a, const void* b, int64_t n) {
  return block(static_cast<const A*>(a), static_cast<const B*>(b), n);
}
template <typename A, typename B>
static double blockAny(const void* a, const void* b, int64_t n) {
  return block(static_cast<const A*>(a), static_cast<const B*>(b), n);
}
template <typename A, typename B>
static Block blockOf() {
  return isWide() ? blockWide<A, B> : blockAny<A, B>;
}

static bool hasKernel(const Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
}

// What measures tensors of these dtypes; null where nothing of ours does.
static Block blockFor(const Tensor& a, const Tensor& b) {
  if (!a.is_cpu() || !b.is_cpu() || !a.is_contiguous() || !b.is_contiguous()) return nullptr;
  const auto A = a.scalar_type(), B = b.scalar_type();
  if (A == at::kFloat && B == at::kFloat) return blockOf<float, float>();
  if (A == at::kFloat && B == at::kBFloat16) return blockOf<float, c10::BFloat16>();
  if (A == at::kBFloat16 && B == at::kFloat) return blockOf<c10::BFloat16, float>();
  if (A == at::kBFloat16 && B == at::kBFloat16) return blockOf<c10::BFloat16, c10::BFloat16>();
  return nullptr;
}

// The parts are added in order, so that a sum does not depend on which thread is done first.
constexpr int64_t kPart = 1 << 16;

static void checkPair(const Tensor& a, const Tensor& b, size_t index) {
  TORCH_CHECK(a.sizes() == b.sizes(), "tensor ", index, " has shape ", a.sizes(), " in a and ", b.sizes(), " in b");
}

// sqrt(sum of x^2) as a scalar on x's device, so that nothing waits for it. A GPU adds in a tree, for which float32 is
// enough; anything else adds float64.
static Tensor lengthOf(const Tensor& x) {
  const auto type = x.is_cuda() && x.scalar_type() != at::kDouble ? at::kFloat : at::kDouble;
  return at::linalg_vector_norm(x, 2, std::nullopt, false, type);
}

// The sums of squares of norms that come in turns of `columns`, [columns] on the CPU.
static Tensor sumOfSquares(const std::vector<Tensor>& norms, int64_t columns) {
  return at::stack(norms).view({-1, columns}).to(at::kDouble).square_().sum(0).cpu();
}

// The parts of a tensor of n elements, on all threads: `run(first, length)` for each.
template <typename Sum, typename Run>
static Sum overParts(int64_t n, const Run& run) {
  const int64_t parts = (n + kPart - 1) / kPart;
  std::vector<Sum> sums(static_cast<size_t>(parts));
  parallel(parts, n, [&](int64_t first, int64_t end) {
    for (int64_t p = first; p < end; p++) sums[p] = run(p * kPart, std::min(kPart, n - p * kPart));
  });
  Sum total{};
  for (const Sum& part : sums) total += part;
  return total;
}

// sum of (a - b)^2, or of a^2 where b is not defined; nothing where no kernel of ours measures them.
static std::optional<double> measured(const Tensor& a, const Tensor& b) {
  const Block run = blockFor(a, b.defined() ? b : a);
  if (!run) return std::nullopt;
  const auto* from = static_cast<const char*>(a.const_data_ptr());
  const auto* other = b.defined() ? static_cast<const char*>(b.const_data_ptr()) : nullptr;
  const int64_t size = a.element_size(), other_size = b.defined() ? b.element_size() : 0;
  return overParts<double>(a.numel(), [&](int64_t first, int64_t length) {
    return run(from + first * size, other ? other + first * other_size : nullptr, length);
  });
}

static double squaredDistance(at::TensorList a, at::TensorList b) {
  TORCH_CHECK(b.empty() || a.size() == b.size(), "squared_distance takes as many tensors in b as in a, or none; got ",
              a.size(), " and ", b.size());
  double total = 0;
  std::vector<Tensor> norms;
  for (size_t t = 0; t < a.size(); t++) {
    if (!b.empty()) checkPair(a[t], b[t], t);
    const Tensor other = b.empty() ? Tensor() : b[t];
    if (const auto sum = measured(a[t], other)) {
      total += *sum;
    } else {
      norms.push_back(lengthOf(b.empty() ? a[t] : a[t].sub(other)));
    }
  }
  if (!norms.empty()) total += sumOfSquares(norms, 1).item<double>();
  return total;
}

struct Sums {
  double before = 0, after = 0, norm = 0;
  Sums& operator+=(const Sums& other) {
    before += other.before;
    after += other.after;
    norm += other.norm;
    return *this;
  }
};

// lerp_ of libtorch: for shares of a half and more from the other end, so that share 1 gives b to the bit.
template <typename T, typename S>
REANCHOR_INLINE T lerp(T a, T b, S share) {
  return share < 0.5f ? a + share * (b - a) : b - (b - a) * (1 - share);
}

REANCHOR_INLINE Sums move(float* a, const float* b, int64_t n, float share) {
  constexpr int64_t kBlock = 64 * kLane;
  Sums total;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t end = std::min(first + kBlock, n);
    Lane before = {}, after = {}, norm = {};
    int64_t i = first;
    for (; i + kLane <= end; i += kLane) {
      const Lane from = load(a + i), to = load(b + i);
      const Lane moved = lerp(from, to, share);
      store(a + i, moved);
      before += (from - to) * (from - to);
      after += (moved - to) * (moved - to);
      norm += moved * moved;
    }
    total += {sum(before), sum(after), sum(norm)};
    for (; i < end; i++) {
      const float from = a[i], to = b[i];
      a[i] = lerp(from, to, share);
      const double was = from - to, is = a[i] - to, value = a[i];
      total += {was * was, is * is, value * value};
    }
  }
  return total;
}
REANCHOR_WIDE static Sums moveWide(float* a, const float* b, int64_t n, float share) { return move(a, b, n, share); }
static Sums moveAny(float* a, const float* b, int64_t n, float share) { return move(a, b, n, share); }

// By libtorch's lerp_; what cannot be measured at once is left in `norms`.
static Sums moveComposed(const Tensor& a, const Tensor& given, double share, std::vector<Tensor>& norms) {
  const Tensor b = given.to(a.scalar_type());
  if (const auto before = measured(a, b)) {
    a.lerp_(b, share);
    return {*before, *measured(a, b), *measured(a, Tensor())};
  }
  norms.push_back(lengthOf(a.sub(b)));
  a.lerp_(b, share);
  norms.push_back(lengthOf(a.sub(b)));
  norms.push_back(lengthOf(a));
  return {};
}

static std::vector<double> moveTowards(at::TensorList a, at::TensorList b, double share) {
  TORCH_CHECK(a.size() == b.size(), "move_towards_ takes as many tensors in b as in a; got ", a.size(), " and ", b.size());
  const auto run = isWide() ? moveWide : moveAny;
  Sums total;
  std::vector<Tensor> norms;
  for (size_t t = 0; t < a.size(); t++) {
    checkPair(a[t], b[t], t);
    if (!hasKernel(a[t]) || !hasKernel(b[t])) {
      total += moveComposed(a[t], b[t], share, norms);
      continue;
    }
    float* to = a[t].mutable_data_ptr<float>();
    const float* from = b[t].const_data_ptr<float>();
    total += overParts<Sums>(a[t].numel(), [&](int64_t first, int64_t length) {
      return run(to + first, from + first, length, static_cast<float>(share));
    });
  }
  if (!norms.empty()) {
    const Tensor sums = sumOfSquares(norms, 3);
    const double* values = sums.const_data_ptr<double>();
    total += {values[0], values[1], values[2]};
  }
  return {total.before, total.after, total.norm};
}

static void registerOps(torch::Library& library) {
  library.def("squared_distance(Tensor[] a, Tensor[] b) -> float");
  library.impl("squared_distance",
               torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(squaredDistance)));
  library.def("move_towards_(Tensor(a!)[] a, Tensor[] b, float share) -> float[]");
  library.impl("move_towards_", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(moveTowards)));
}

}  // namespace reanchor::distance
