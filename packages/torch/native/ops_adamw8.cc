// reanchor::adamw_8bit_(Tensor(a!) parameter, Tensor gradient, Tensor(b!) mean, Tensor(c!) mean_absmax,
//   Tensor(d!) root, Tensor(e!) root_absmax, Tensor signed_map, Tensor unsigned_map, float lr, float beta1,
//   float beta2, float eps, float decay, int step, int seed) -> ()
//
// A step of AdamW whose moments have 8 bits each (Dettmers et al. 2022, arXiv 2110.02861): of every block of 256
// elements the largest |value| in float32, and of each element the number of its share of that in a map of 256 values.
// In place of the second moment its root is kept, which has half as many decades. What is between two values of a map
// goes to either at random, so that on average nothing is lost: by a hash of seed, step and element, so that a step can
// be repeated. Only on the CPU, for float32 and bfloat16.
#include "addon.h"
#include "kernels.h"

#include <torch/library.h>

#include <array>
#include <cmath>

namespace reanchor::adamw8 {

using at::Tensor;

constexpr int64_t kBlock = 256;

// A map of 256 ascending values, with where to look in it for a number by the upper 16 bits of its float.
class Map {
 public:
  explicit Map(const Tensor& values) : values_(values.const_data_ptr<float>()) {
    int low = 0;
    for (int64_t i = 0; i < kHalf; i++) {
      while (low < 255 && values_[low + 1] <= ofUpper(static_cast<uint32_t>(i))) low++;
      positive_[static_cast<size_t>(i)] = static_cast<uint8_t>(low);
    }
    // A negative number is above the one whose upper bits are the next larger ones.
    low = 255;
    for (int64_t i = 0; i < kHalf; i++) {
      while (low > 0 && values_[low] > -ofUpper(static_cast<uint32_t>(i + 1))) low--;
      negative_[static_cast<size_t>(i)] = static_cast<uint8_t>(low);
    }
  }

  float operator[](uint8_t code) const { return values_[code]; }

  // The code of one of the two values around x, which is at most 1 in size; `chance` in [0, 1).
  uint8_t codeOf(float x, float chance) const {
    const uint32_t bits = bitsOf(x), upper = (bits & 0x7fffffff) >> 16;
    int low = (bits >> 31) ? negative_[upper] : positive_[upper];
    while (low < 255 && values_[low + 1] <= x) low++;
    if (low == 255) return 255;
    const float share = (x - values_[low]) / (values_[low + 1] - values_[low]);
    return static_cast<uint8_t>(low + (chance < share ? 1 : 0));
  }

 private:
  // The upper bits of numbers from 0 to a little over 1.
  static constexpr int64_t kHalf = 0x3f82;
  static uint32_t bitsOf(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  static float ofUpper(uint32_t upper) {
    const uint32_t bits = upper << 16;
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  const float* values_;
  std::array<uint8_t, kHalf> positive_;
  std::array<uint8_t, kHalf> negative_;
};

// lowbias32 (Wellons): of 32 bits 32 others.
static uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return x;
}

// In [0, 1), of 24 bits, which a float32 holds.
static float chanceOf(uint32_t key, int64_t element) {
  return static_cast<float>(mix(key ^ mix(static_cast<uint32_t>(element))) >> 8) * 0x1p-24f;
}

struct Rates {
  float step_size, root_correction, beta1, beta2, eps, keep;
};

struct Moment {
  uint8_t* codes;
  float* absmax;
  const Map& map;
  uint32_t key;

  void read(int64_t block, int64_t first, int64_t n, float* out) const {
    for (int64_t i = 0; i < n; i++) out[i] = map[codes[first + i]] * absmax[block];
  }

  void write(int64_t block, int64_t first, int64_t n, const float* values) const {
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = std::max(most, std::abs(values[i]));
    absmax[block] = most;
    const float scale = most > 0 ? 1 / most : 0;
    for (int64_t i = 0; i < n; i++) {
      const float share = std::min(1.0f, std::max(-1.0f, values[i] * scale));
      codes[first + i] = map.codeOf(share, chanceOf(key, first + i));
    }
  }
};

template <typename T>
static void blockStep(T* parameter, const T* gradient, int64_t block, int64_t first, int64_t n, const Moment& mean,
                      const Moment& root, const Rates& rates) {
  float means[kBlock], roots[kBlock];
  mean.read(block, first, n, means);
  root.read(block, first, n, roots);
  for (int64_t i = 0; i < n; i++) {
    const float g = static_cast<float>(gradient[first + i]);
    means[i] += (1 - rates.beta1) * (g - means[i]);
    roots[i] = std::sqrt(rates.beta2 * roots[i] * roots[i] + (1 - rates.beta2) * g * g);
    const float p = static_cast<float>(parameter[first + i]) * rates.keep;
    parameter[first + i] = static_cast<T>(p - rates.step_size * means[i] / (roots[i] * rates.root_correction + rates.eps));
  }
  mean.write(block, first, n, means);
  root.write(block, first, n, roots);
}

template <typename T>
static void run(const Tensor& parameter, const Tensor& gradient, const Moment& mean, const Moment& root,
                const Rates& rates) {
  const int64_t n = parameter.numel(), blocks = (n + kBlock - 1) / kBlock;
  T* to = parameter.mutable_data_ptr<T>();
  const T* by = gradient.const_data_ptr<T>();
  parallel(blocks, 32 * n, [&](int64_t from, int64_t end) {
    for (int64_t b = from; b < end; b++) {
      blockStep<T>(to, by, b, b * kBlock, std::min(kBlock, n - b * kBlock), mean, root, rates);
    }
  });
}

static void checkState(const Tensor& codes, const Tensor& absmax, int64_t n) {
  TORCH_CHECK(codes.scalar_type() == at::kByte && codes.numel() == n && codes.is_contiguous() && codes.is_cpu(),
              "codes of a moment are uint8 on the CPU, one for each of ", n, " elements; got ", codes.sizes());
  TORCH_CHECK(absmax.scalar_type() == at::kFloat && absmax.numel() == (n + kBlock - 1) / kBlock && absmax.is_cpu(),
              "absmax of a moment is float32 on the CPU, one for each block of ", kBlock, "; got ", absmax.sizes());
}

static void step(const Tensor& parameter, const Tensor& given, const Tensor& mean, const Tensor& mean_absmax,
                 const Tensor& root, const Tensor& root_absmax, const Tensor& signed_map, const Tensor& unsigned_map,
                 double lr, double beta1, double beta2, double eps, double decay, int64_t at_step, int64_t seed) {
  const int64_t n = parameter.numel();
  TORCH_CHECK(parameter.is_cpu() && parameter.is_contiguous(), "adamw_8bit_ takes a contiguous parameter on the CPU");
  TORCH_CHECK(given.sizes() == parameter.sizes(), "the gradient has shape ", given.sizes(), ", the parameter ",
              parameter.sizes());
  checkState(mean, mean_absmax, n);
  checkState(root, root_absmax, n);
  for (const Tensor& map : {signed_map, unsigned_map}) {
    TORCH_CHECK(map.scalar_type() == at::kFloat && map.numel() == 256 && map.is_cpu() && map.is_contiguous(),
                "a map has 256 float32 values on the CPU");
  }
  const Tensor gradient = given.to(parameter.scalar_type()).contiguous();
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(at_step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(at_step));
  const Rates rates{static_cast<float>(lr / correction1), static_cast<float>(1 / std::sqrt(correction2)),
                    static_cast<float>(beta1), static_cast<float>(beta2), static_cast<float>(eps),
                    static_cast<float>(1 - lr * decay)};
  const Map of_mean(signed_map), of_root(unsigned_map);
  const uint32_t key = mix(static_cast<uint32_t>(seed) ^ mix(static_cast<uint32_t>(at_step)));
  const Moment first{mean.mutable_data_ptr<uint8_t>(), mean_absmax.mutable_data_ptr<float>(), of_mean, key};
  const Moment second{root.mutable_data_ptr<uint8_t>(), root_absmax.mutable_data_ptr<float>(), of_root, mix(key + 1)};
  switch (parameter.scalar_type()) {
    case at::kFloat: return run<float>(parameter, gradient, first, second, rates);
    case at::kBFloat16: return run<at::BFloat16>(parameter, gradient, first, second, rates);
    default: TORCH_CHECK(false, "adamw_8bit_ takes float32 and bfloat16, got ", parameter.scalar_type());
  }
}

static void registerOps(torch::Library& library) {
  library.def(
      "adamw_8bit_(Tensor(a!) parameter, Tensor gradient, Tensor(b!) mean, Tensor(c!) mean_absmax, Tensor(d!) root, "
      "Tensor(e!) root_absmax, Tensor signed_map, Tensor unsigned_map, float lr, float beta1, float beta2, float eps, "
      "float decay, int step, int seed) -> ()");
  library.impl("adamw_8bit_", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(step)));
}

}  // namespace reanchor::adamw8
