// The products of a head in bfloat16 on a CPU that has instructions for them, with sums in float32. Slopes are rounded
// to bfloat16 before they are multiplied, as on a GPU.
//
// oneDNN's kernels for blocks take the second matrix with two rows side by side, x[k][n] at [k / 2][n][k % 2]. Of a
// weight, blocks are laid out so where they are multiplied; none is widened or copied as a whole.
// Letters: R rows of a chunk, D hidden size, V vocabulary.
#pragma once

#include "addon.h"
#include "kernels.h"

#include <ATen/native/CPUBlas.h>
#include <ATen/ops/zeros.h>

#include <vector>

namespace reanchor::head_bf16 {

using at::Tensor;
using Number = c10::BFloat16;

// Rows of the vocabulary, and rows of a chunk, that a kernel has at once.
constexpr int64_t kBlock = 64;

static bool hasInstructions() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl");
  return has;
#else
  return false;
#endif
}

static bool suits(const Tensor& hidden) {
  return hidden.is_cpu() && hidden.scalar_type() == at::kBFloat16 && hidden.size(1) % 2 == 0 && hasInstructions();
}

static void multiply(int64_t m, int64_t n, int64_t k, const Number* a, int64_t lda, const Number* b, float* c,
                     int64_t ldc, bool adds) {
  at::native::cpublas::brgemm(m, n, k, lda, n, ldc, adds, a, b, c);
}

// Calls body(part, first, end) for parts of the blocks of a vocabulary, each thread with the blocks of one or more.
template <typename F>
static void overVocabulary(int64_t V, int64_t work, const F& body) {
  const int64_t parts = at::get_num_threads(), blocks = (V + kBlock - 1) / kBlock;
  parallel(parts, work, [&](int64_t first, int64_t end) {
    body(first, blocks * first / parts, blocks * end / parts);
    at::native::cpublas::brgemm_release();
  });
}

// Rows of a [rows, D] matrix as columns: pairs of neighbours stay together.
static void columnsOf(const Number* rows, int64_t count, int64_t D, Number* to) {
  const auto* from = reinterpret_cast<const uint32_t*>(rows);
  auto* pairs = reinterpret_cast<uint32_t*>(to);
  for (int64_t r = 0; r < count; r++) {
    for (int64_t k = 0; k < D / 2; k++) pairs[k * count + r] = from[r * (D / 2) + k];
  }
}

// Rows of a [rows, D] matrix, two side by side; an odd one has zeros beside it.
static void pairsOf(const Number* rows, int64_t count, int64_t D, Number* to) {
  for (int64_t r = 0; r < count; r += 2) {
    const Number *a = rows + r * D, *b = r + 1 < count ? a + D : nullptr;
    Number* pair = to + r * D;
    for (int64_t d = 0; d < D; d++) {
      pair[2 * d] = a[d];
      pair[2 * d + 1] = b ? b[d] : Number(0.0f);
    }
  }
}

// logits_RV = hidden_RD weight_VD^T.
static void project(const Tensor& hidden_RD, const Tensor& weight_VD, Tensor& logits_RV) {
  const int64_t R = hidden_RD.size(0), V = weight_VD.size(0), D = weight_VD.size(1);
  const Tensor hidden = hidden_RD.contiguous(), weight = weight_VD.contiguous();
  const auto* h = hidden.const_data_ptr<Number>();
  const auto* w = weight.const_data_ptr<Number>();
  auto* logits = logits_RV.mutable_data_ptr<float>();
  overVocabulary(V, R * V * D, [&](int64_t, int64_t first, int64_t end) {
    std::vector<Number> columns(kBlock * D);
    for (int64_t v = first * kBlock; v < std::min(end * kBlock, V); v += kBlock) {
      const int64_t n = std::min(kBlock, V - v);
      columnsOf(w + v * D, n, D, columns.data());
      for (int64_t r = 0; r < R; r += kBlock) {
        multiply(std::min(kBlock, R - r), n, D, h + r * D, D, columns.data(), logits + r * V + v, V, false);
      }
    }
  });
}

// Columns of a block of slopes [R, n] as rows of `padded` numbers, zeros beyond R.
static void transpose(const Number* slopes, int64_t R, int64_t V, int64_t n, Number* to, int64_t padded) {
  for (int64_t r = 0; r < R; r++) {
    for (int64_t i = 0; i < n; i++) to[i * padded + r] = slopes[r * V + i];
  }
  for (int64_t i = 0; i < n && R < padded; i++) to[i * padded + R] = Number(0.0f);
}

// hidden_slope_RD <- slope_RV weight_VD, and weight_slope_VD <- slope_RV^T hidden_RD + weight_slope_VD, summed in
// float32; either may be undefined.
static void backward(const Tensor& slope_RV, const Tensor& hidden_RD, const Tensor& weight_VD,
                     const Tensor& hidden_slope_RD, const Tensor& weight_slope_VD) {
  const int64_t R = hidden_RD.size(0), V = weight_VD.size(0), D = weight_VD.size(1), padded = R + R % 2;
  // A vocabulary of an odd size has a column of zeros beside it, so that its last block has pairs as well.
  const int64_t columns = V + V % 2;
  const Tensor rounded = columns == V ? slope_RV.to(at::kBFloat16) : at::zeros({R, columns}, hidden_RD.options());
  if (columns > V) rounded.narrow(1, 0, V).copy_(slope_RV);
  const Tensor hidden = hidden_RD.contiguous(), weight = weight_VD.contiguous();
  const auto* slopes = rounded.const_data_ptr<Number>();
  const auto* w = weight.const_data_ptr<Number>();
  auto* weight_slope = weight_slope_VD.defined() ? weight_slope_VD.mutable_data_ptr<float>() : nullptr;
  std::vector<Number> pairs(padded * D);
  pairsOf(hidden.const_data_ptr<Number>(), R, D, pairs.data());
  // Each thread adds up hidden's gradient over its part of the vocabulary; the parts are summed in their order.
  const bool wants_hidden = hidden_slope_RD.defined();
  const Tensor sums = wants_hidden ? at::zeros({at::get_num_threads(), R, D}, slope_RV.options()) : Tensor();
  auto* sum = wants_hidden ? sums.mutable_data_ptr<float>() : nullptr;
  overVocabulary(V, 2 * R * V * D, [&](int64_t part, int64_t first, int64_t end) {
    std::vector<Number> rows(kBlock * D), turned(kBlock * padded);
    for (int64_t v = first * kBlock; v < std::min(end * kBlock, V); v += kBlock) {
      const int64_t n = std::min(kBlock, V - v);
      if (sum) {
        pairsOf(w + v * D, n, D, rows.data());
        for (int64_t r = 0; r < R; r += kBlock) {
          multiply(std::min(kBlock, R - r), D, n + n % 2, slopes + r * columns + v, columns, rows.data(),
                   sum + (part * R + r) * D, D, true);
        }
      }
      if (!weight_slope) continue;
      transpose(slopes + v, R, columns, n, turned.data(), padded);
      for (int64_t r = 0; r < padded; r += kBlock) {
        multiply(n, D, std::min(kBlock, padded - r), turned.data() + r, padded, pairs.data() + r * D,
                 weight_slope + v * D, D, true);
      }
    }
  });
  if (sum) hidden_slope_RD.copy_(sums.sum(0));
}

}  // namespace reanchor::head_bf16
