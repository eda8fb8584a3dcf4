// Kernels for a step of generation: few rows (one a text), float32, CPU, nothing recorded for backward().
//
// A step reads every weight once and computes little with it, so that what counts is the pass over memory and the
// number of calls. The BLAS packs the weights of a small product first; these kernels stream them. Each row's sums are
// taken in one order, whatever rows it is computed with, so that a text does not depend on its batch.
//
// Letters: B rows (texts), I inputs, O outputs, H query heads, K key-value heads, C channels of a head, T slots.
#include "addon.h"
#include "kernels.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace reanchor::decode {

using at::Tensor;

// ---- linear

struct Product {
  const float* x_BI;
  const float* w_OI;
  const float* bias_O;
  float* y_BO;
  int64_t B, I, O;
};

// R outputs of N rows. The first tile over R rows of the weights fetches the R after them: short rows end before the
// machine has seen that they follow each other.
template <int R, int N, bool First>
REANCHOR_INLINE void tile(const Product& p, int64_t o, int64_t b) {
  const float* w = p.w_OI + o * p.I;
  const float* x = p.x_BI + b * p.I;
  Lane sums[R][N] = {};
  int64_t i = 0;
  for (; i + kLane <= p.I; i += kLane) {
    Lane weights[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      weights[r] = load(w + r * p.I + i);
      if (First) __builtin_prefetch(w + (R + r) * p.I + i);
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
      const Lane inputs = load(x + n * p.I + i);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) sums[r][n] += weights[r] * inputs;
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
      float y = sum(sums[r][n]);
      for (int64_t rest = i; rest < p.I; rest++) y += w[r * p.I + rest] * x[n * p.I + rest];
      p.y_BO[(b + n) * p.O + o + r] = p.bias_O ? y + p.bias_O[o + r] : y;
    }
  }
}

template <int R>
REANCHOR_INLINE void outputs(const Product& p, int64_t o) {
  if (p.B == 1) return tile<R, 1, true>(p, o, 0);
  if (p.B < 4) return p.B == 2 ? tile<R, 2, true>(p, o, 0) : tile<R, 3, true>(p, o, 0);
  tile<R, 4, true>(p, o, 0);
  int64_t b = 4;
  for (; b + 4 <= p.B; b += 4) tile<R, 4, false>(p, o, b);
  for (; b + 2 <= p.B; b += 2) tile<R, 2, false>(p, o, b);
  if (b < p.B) tile<R, 1, false>(p, o, b);
}

REANCHOR_INLINE void product(const Product& p, int64_t first, int64_t end) {
  int64_t o = first;
  for (; o + 3 <= end; o += 3) outputs<3>(p, o);
  for (; o < end; o++) outputs<1>(p, o);
}
REANCHOR_WIDE static void productWide(const Product& p, int64_t first, int64_t end) { product(p, first, end); }
static void productAny(const Product& p, int64_t first, int64_t end) { product(p, first, end); }

static void checkFloat(const Tensor& x, const char* name) {
  TORCH_CHECK(x.is_cpu() && x.scalar_type() == at::kFloat, "decode kernels take float32 on the CPU; '", name, "' is ",
              x.scalar_type(), " on ", x.device());
  TORCH_CHECK(!(at::GradMode::is_enabled() && x.requires_grad()), "decode kernels record nothing for backward(): '", name,
              "' requires gradients outside noGrad()");
}

// decode_linear(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor: x W^T + bias
static Tensor linear(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  checkFloat(x, "x");
  checkFloat(weight, "weight");
  TORCH_CHECK(x.dim() == 2 && weight.dim() == 2 && x.size(1) == weight.size(1), "x [B, I] and weight [O, I] have shapes ",
              x.sizes(), " and ", weight.sizes());
  const Tensor x_BI = x.contiguous(), w_OI = weight.contiguous();
  const Tensor bias_O = bias ? bias->contiguous() : Tensor();
  if (bias) checkFloat(bias_O, "bias");
  const Product p{x_BI.const_data_ptr<float>(),
                  w_OI.const_data_ptr<float>(),
                  bias ? bias_O.const_data_ptr<float>() : nullptr,
                  nullptr,
                  x.size(0),
                  x.size(1),
                  weight.size(0)};
  TORCH_CHECK(!bias || bias_O.numel() == p.O, "bias has ", bias_O.numel(), " elements, weight ", p.O, " outputs");
  Tensor y_BO = at::empty({p.B, p.O}, x.options());
  Product job = p;
  job.y_BO = y_BO.mutable_data_ptr<float>();
  const auto run = isWide() ? productWide : productAny;
  parallel(p.O, p.B * p.I * p.O, [&](int64_t first, int64_t end) { run(job, first, end); });
  return y_BO;
}

// ---- norm

// decode_rms_norm(Tensor x, Tensor weight, float eps) -> Tensor: x / sqrt(mean(x^2) + eps) * weight, last dimension
static Tensor rmsNorm(const Tensor& x, const Tensor& weight, double eps) {
  checkFloat(x, "x");
  checkFloat(weight, "weight");
  const int64_t D = weight.numel();
  TORCH_CHECK(x.size(-1) == D, "x has ", x.size(-1), " channels, weight ", D);
  const Tensor x_BD = x.contiguous(), weight_D = weight.contiguous();
  Tensor y_BD = at::empty_like(x_BD);
  const float* from = x_BD.const_data_ptr<float>();
  const float* scale = weight_D.const_data_ptr<float>();
  float* to = y_BD.mutable_data_ptr<float>();
  for (int64_t b = 0; b < x_BD.numel() / D; b++, from += D, to += D) {
    double squares = 0;
    for (int64_t d = 0; d < D; d++) squares += from[d] * from[d];
    const auto factor = static_cast<float>(1 / std::sqrt(squares / D + eps));
    for (int64_t d = 0; d < D; d++) to[d] = from[d] * factor * scale[d];
  }
  return y_BD;
}

// ---- attention

struct Attention {
  const float* q;
  const float* keys;
  const float* values;
  float* out;
  int64_t slots;  // that are seen
  int64_t C;
  float scale;
};

// One head's query over its keys: softmax(q k^T scale) v. `scores` has room for the slots and a lane more.
REANCHOR_INLINE void head(const Attention& a, float* scores) {
  const int64_t lanes = a.C / kLane * kLane;
  float highest = -std::numeric_limits<float>::infinity();
  for (int64_t t = 0; t < a.slots; t++) {
    const float* key = a.keys + t * a.C;
    Lane dot = {};
    for (int64_t c = 0; c < lanes; c += kLane) dot += load(a.q + c) * load(key + c);
    float score = sum(dot);
    for (int64_t c = lanes; c < a.C; c++) score += a.q[c] * key[c];
    scores[t] = score * a.scale;
    highest = std::max(highest, scores[t]);
  }
  std::fill(scores + a.slots, scores + a.slots + kLane, -std::numeric_limits<float>::infinity());
  Lane totals = {};
  for (int64_t t = 0; t < a.slots; t += kLane) {
    Lane weights = load(scores + t) - highest;
    expLanes(weights);
    store(scores + t, weights);
    if (t + kLane <= a.slots) totals += weights;
  }
  float total = sum(totals);
  for (int64_t t = a.slots / kLane * kLane; t < a.slots; t++) total += scores[t];
  const float share = 1 / total;
  int64_t c = 0;
  for (; c + 2 * kLane <= a.C; c += 2 * kLane) {
    Lane low = {}, high = {};
    for (int64_t t = 0; t < a.slots; t++) {
      low += load(a.values + t * a.C + c) * scores[t];
      high += load(a.values + t * a.C + c + kLane) * scores[t];
    }
    store(a.out + c, low * share);
    store(a.out + c + kLane, high * share);
  }
  for (; c < a.C; c++) {
    float mixed = 0;
    for (int64_t t = 0; t < a.slots; t++) mixed += a.values[t * a.C + c] * scores[t];
    a.out[c] = mixed * share;
  }
}
REANCHOR_WIDE static void headWide(const Attention& a, float* scores) { head(a, scores); }
static void headAny(const Attention& a, float* scores) { head(a, scores); }

// decode_attention(Tensor q, Tensor k, Tensor v, Tensor(a!) keys, Tensor(b!) values, Tensor starts, int slot) -> Tensor
// Writes each text's new key and value to `slot` of the cache and attends over slots starts[b] ... slot.
// q [B, H, C]; k, v [B, K, C]; keys, values [B, K, T, C]; starts [B] int64. Returns [B, H, C].
static Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& keys, const Tensor& values,
                        const Tensor& starts, int64_t slot) {
  for (const Tensor* x : {&q, &k, &v, &keys, &values}) checkFloat(*x, "q, k, v, keys, values");
  TORCH_CHECK(q.dim() == 3 && keys.dim() == 4 && keys.is_contiguous() && values.is_contiguous() &&
                  keys.sizes() == values.sizes() && k.sizes() == v.sizes() && k.size(0) == q.size(0) &&
                  k.size(0) == keys.size(0) && k.size(1) == keys.size(1) && k.size(2) == keys.size(3) &&
                  q.size(2) == k.size(2) && q.size(1) % k.size(1) == 0 && starts.size(0) == q.size(0) &&
                  starts.scalar_type() == at::kLong && starts.is_contiguous() && slot >= 0 && slot < keys.size(2) &&
                  k.stride(2) == 1 && v.stride(2) == 1,
              "q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), ", keys ", keys.sizes(), ", values ",
              values.sizes(), ", starts ", starts.sizes(), ", slot ", slot);
  const int64_t B = q.size(0), H = q.size(1), K = k.size(1), T = keys.size(2), C = q.size(2), group = H / K;
  const Tensor q_BHC = q.contiguous();
  Tensor mixed_BHC = at::empty({B, H, C}, q.options());
  float* all_keys = keys.mutable_data_ptr<float>();
  float* all_values = values.mutable_data_ptr<float>();
  const int64_t* start_B = starts.const_data_ptr<int64_t>();
  const auto run = isWide() ? headWide : headAny;
  const auto body = [&](int64_t first, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(slot + 1 + kLane));
    for (int64_t bk = first; bk < end; bk++) {
      const int64_t b = bk / K, head_K = bk % K, begin = start_B[b];
      const float* new_key = k.const_data_ptr<float>() + b * k.stride(0) + head_K * k.stride(1);
      const float* new_value = v.const_data_ptr<float>() + b * v.stride(0) + head_K * v.stride(1);
      std::copy(new_key, new_key + C, all_keys + (bk * T + slot) * C);
      std::copy(new_value, new_value + C, all_values + (bk * T + slot) * C);
      for (int64_t g = 0; g < group; g++) {
        const int64_t row = (b * H + head_K * group + g) * C;
        run({q_BHC.const_data_ptr<float>() + row, all_keys + (bk * T + begin) * C, all_values + (bk * T + begin) * C,
             mixed_BHC.mutable_data_ptr<float>() + row, slot + 1 - begin, C,
             static_cast<float>(1 / std::sqrt(static_cast<double>(C)))},
            scores.data());
      }
    }
  };
  parallel(B * K, 2 * B * H * C * (slot + 1), body);
  return mixed_BHC;
}

static void registerOps(torch::Library& library) {
  const auto add = [&](const char* schema, auto kernel) {
    const std::string text = schema, name = text.substr(0, text.find('('));
    library.def(schema);
    library.impl(name.c_str(), torch::dispatch(c10::DispatchKey::CPU, kernel));
    // Nothing is recorded, so that nothing is gained by going through the dispatcher twice.
    library.impl(name.c_str(), torch::dispatch(c10::DispatchKey::AutogradCPU, kernel));
  };
  add("decode_linear(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor", TORCH_FN(linear));
  add("decode_rms_norm(Tensor x, Tensor weight, float eps) -> Tensor", TORCH_FN(rmsNorm));
  add("decode_attention(Tensor q, Tensor k, Tensor v, Tensor(a!) keys, Tensor(b!) values, Tensor starts, int slot) -> "
      "Tensor",
      TORCH_FN(attention));
}

}  // namespace reanchor::decode
