// What libtorch's flash attention computes for sequences of different lengths, written down plainly in float64, with
// the conditions that its kernel sets (mha_varlen_fwd and mha_varlen_bwd of flash_api.cpp). Shapes: Q queries and L
// keys of a sequence, H query heads, K key-value heads, C channels of a head.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>
#include <tuple>

namespace simulated {

struct Sequences {
  Sequences(const at::Tensor& query_ends, const at::Tensor& key_ends, int64_t max_q, int64_t max_k) {
    TORCH_CHECK(query_ends.scalar_type() == at::kInt && key_ends.scalar_type() == at::kInt, "ends must be int32");
    TORCH_CHECK(query_ends.is_contiguous() && key_ends.is_contiguous() && query_ends.numel() == key_ends.numel());
    TORCH_CHECK(query_ends.numel() > 1, "batch size must be positive");
    count = query_ends.numel() - 1;
    queries = query_ends.const_data_ptr<int32_t>();
    keys = key_ends.const_data_ptr<int32_t>();
    TORCH_CHECK(queries[0] == 0 && keys[0] == 0, "the first end is 0");
    for (int64_t s = 0; s < count; s++) {
      TORCH_CHECK(queries[s + 1] - queries[s] <= max_q && keys[s + 1] - keys[s] <= max_k, "a sequence is too long");
    }
    TORCH_CHECK(max_q > 1, "with one query a sequence the kernel rearranges grouped heads, for generation");
  }

  int64_t count;
  const int32_t* queries;
  const int32_t* keys;
};

inline void require(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Sequences& sequences) {
  for (const at::Tensor& x : {q, k, v}) {
    TORCH_CHECK(x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16, "only fp16 and bf16");
    TORCH_CHECK(x.scalar_type() == q.scalar_type() && x.dim() == 3 && x.stride(-1) == 1);
    TORCH_CHECK(x.size(2) == q.size(2) && x.size(2) % 8 == 0 && x.size(2) <= 256, "head_size ", x.size(2));
  }
  TORCH_CHECK(q.size(1) % k.size(1) == 0 && k.sizes() == v.sizes());
  TORCH_CHECK(q.size(0) == sequences.queries[sequences.count] && k.size(0) == sequences.keys[sequences.count]);
}

// [tokens, heads, C] -> [heads, tokens of a sequence, C] in float64; key-value heads are repeated for their queries.
inline at::Tensor part(const at::Tensor& x, const int32_t* ends, int64_t s, int64_t heads) {
  const at::Tensor heads_first = x.narrow(0, ends[s], ends[s + 1] - ends[s]).transpose(0, 1).to(at::kDouble);
  return heads_first.repeat_interleave(heads / x.size(1), 0);
}

// Scores of a sequence, -inf where a query may not look: the last query sees all keys, the one before all but one, ...
inline at::Tensor scores(const at::Tensor& q_HQC, const at::Tensor& k_HLC) {
  const int64_t Q = q_HQC.size(1), L = k_HLC.size(1);
  const at::Tensor last_Q1 = at::arange(Q).add(L - Q).unsqueeze(1);
  const at::Tensor hidden_QL = at::arange(L).unsqueeze(0).gt(last_Q1);
  const at::Tensor s_HQL = at::matmul(q_HQC, k_HLC.transpose(1, 2)).div(std::sqrt(static_cast<double>(q_HQC.size(2))));
  return s_HQL.masked_fill(hidden_QL, -std::numeric_limits<double>::infinity());
}

inline std::tuple<at::Tensor, at::Tensor> attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                                    const Sequences& sequences) {
  require(q, k, v, sequences);
  const int64_t H = q.size(1);
  at::Tensor out = at::zeros_like(q), logsumexp = at::zeros({H, q.size(0)}, at::kFloat);
  for (int64_t s = 0; s < sequences.count; s++) {
    const int64_t first = sequences.queries[s], Q = sequences.queries[s + 1] - first;
    const at::Tensor s_HQL = scores(part(q, sequences.queries, s, H), part(k, sequences.keys, s, H));
    const at::Tensor o_HQC = at::matmul(s_HQL.softmax(-1), part(v, sequences.keys, s, H));
    out.narrow(0, first, Q).copy_(o_HQC.transpose(0, 1));
    logsumexp.narrow(1, first, Q).copy_(s_HQL.logsumexp({-1}));
  }
  return {out, logsumexp};
}

inline std::tuple<at::Tensor, at::Tensor, at::Tensor> attentionBackward(const at::Tensor& grad, const at::Tensor& q,
                                                                        const at::Tensor& k, const at::Tensor& v,
                                                                        const at::Tensor& out,
                                                                        const at::Tensor& logsumexp,
                                                                        const Sequences& sequences) {
  require(q, k, v, sequences);
  TORCH_CHECK(grad.scalar_type() == q.scalar_type() && grad.sizes() == q.sizes() && out.sizes() == q.sizes());
  const int64_t H = q.size(1), K = k.size(1), C = q.size(2);
  const double factor = 1 / std::sqrt(static_cast<double>(C));
  at::Tensor dq = at::zeros_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
  for (int64_t s = 0; s < sequences.count; s++) {
    const int64_t first = sequences.queries[s], Q = sequences.queries[s + 1] - first;
    const int64_t start = sequences.keys[s], L = sequences.keys[s + 1] - start;
    const at::Tensor q_HQC = part(q, sequences.queries, s, H), k_HLC = part(k, sequences.keys, s, H);
    const at::Tensor v_HLC = part(v, sequences.keys, s, H);
    const at::Tensor do_HQC = part(grad, sequences.queries, s, H), o_HQC = part(out, sequences.queries, s, H);
    const at::Tensor p_HQL = scores(q_HQC, k_HLC).sub(logsumexp.narrow(1, first, Q).to(at::kDouble).unsqueeze(2)).exp();
    const at::Tensor dp_HQL = at::matmul(do_HQC, v_HLC.transpose(1, 2));
    const at::Tensor ds_HQL = p_HQL.mul(dp_HQL.sub(do_HQC.mul(o_HQC).sum(-1, true))).mul(factor);
    const auto summed = [&](const at::Tensor& x_HLC) { return x_HLC.view({K, H / K, L, C}).sum(1).transpose(0, 1); };
    dq.narrow(0, first, Q).copy_(at::matmul(ds_HQL, k_HLC).transpose(0, 1));
    dk.narrow(0, start, L).copy_(summed(at::matmul(ds_HQL.transpose(1, 2), q_HQC)));
    dv.narrow(0, start, L).copy_(summed(at::matmul(p_HQL.transpose(1, 2), do_HQC)));
  }
  return {dq, dk, dv};
}

}  // namespace simulated
