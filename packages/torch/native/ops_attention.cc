// reanchor::span_attention(Tensor q, Tensor k, Tensor v, int[] groups, Tensor[] masks) -> Tensor
//
// softmax(q k^T / sqrt(C) + mask) v over the groups of a packed batch, by libtorch's own attention kernels of the CPU.
// q [N, H, C]; k, v [N, K, C]; a group (start, prefix, completions) is `prefix` tokens that attend to themselves,
// causally, followed by `completions` tokens that attend to all tokens of the group under the next mask. As one
// operator its output and its gradients are written once and where they belong; slices of q, k and v would each leave a
// gradient as large as the batch, zero but for a group, and a sum of all of them.
#include "addon.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace reanchor::attention {

using at::Tensor;

// Some queries of a group with the keys that they see; without a mask the two are the same tokens.
struct Part {
  int64_t start, queries, from, keys;
  std::optional<Tensor> mask;

  Tensor ofQueries(const Tensor& x_NHC) const { return heads(x_NHC, start, queries); }
  Tensor ofKeys(const Tensor& x_NKC) const { return heads(x_NKC, from, keys); }
  static Tensor heads(const Tensor& x, int64_t start, int64_t length) {
    return x.narrow(0, start, length).transpose(0, 1).unsqueeze(0);
  }
};

// Completions come before the prompt that they hang on: their gradients of keys cover the prompt's, which adds its own.
static std::vector<Part> parts(at::IntArrayRef groups, at::TensorList masks, int64_t N) {
  TORCH_CHECK(groups.size() % 3 == 0, "groups are triples of start, prefix and completions; got ", groups.size(), " numbers");
  std::vector<Part> found;
  size_t mask = 0;
  int64_t end = 0;
  for (size_t g = 0; g < groups.size(); g += 3) {
    const int64_t start = groups[g], prefix = groups[g + 1], completions = groups[g + 2];
    TORCH_CHECK(start == end && prefix >= 0 && completions >= 0, "group ", g / 3, " starts at ", start, ", not at ", end);
    end = start + prefix + completions;
    if (completions > 0) {
      TORCH_CHECK(mask < masks.size(), "there are ", masks.size(), " masks, too few");
      found.push_back({start + prefix, completions, start, prefix + completions, masks[mask++]});
    }
    if (prefix > 0) found.push_back({start, prefix, start, prefix, std::nullopt});
  }
  TORCH_CHECK(end == N, "the groups have ", end, " tokens, q has ", N);
  return found;
}

struct Forward {
  Tensor out_NHC;
  std::vector<Tensor> sums;  // the log of the sum of exponentials, part by part
};

static Forward forward(const Tensor& q_NHC, const Tensor& k_NKC, const Tensor& v_NKC, const std::vector<Part>& parts) {
  Forward result{at::empty(q_NHC.sizes(), q_NHC.options()), {}};
  for (const Part& part : parts) {
    const auto [out, sums] = at::_scaled_dot_product_flash_attention_for_cpu(
        part.ofQueries(q_NHC), part.ofKeys(k_NKC), part.ofKeys(v_NKC), 0.0, !part.mask, part.mask);
    part.ofQueries(result.out_NHC).copy_(out);
    result.sums.push_back(sums);
  }
  return result;
}

struct SpanAttention : torch::autograd::Function<SpanAttention> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& q_NHC, const Tensor& k_NKC,
                        const Tensor& v_NKC, at::IntArrayRef groups, const std::vector<Tensor>& masks) {
    at::AutoDispatchBelowADInplaceOrView guard;
    Forward result = attention::forward(q_NHC, k_NKC, v_NKC, parts(groups, masks, q_NHC.size(0)));
    context->save_for_backward({q_NHC, k_NKC, v_NKC, result.out_NHC});
    context->saved_data["sums"] = result.sums;
    context->saved_data["groups"] = groups.vec();
    context->saved_data["masks"] = masks;
    return result.out_NHC;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "span_attention can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3];
    const auto sums = context->saved_data["sums"].toTensorVector();
    const auto masks = context->saved_data["masks"].toTensorVector();
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor slope = grads[0].contiguous();
    Tensor q_slope = at::empty(q.sizes(), q.options());
    Tensor k_slope = at::empty(k.sizes(), k.options()), v_slope = at::empty(v.sizes(), v.options());
    size_t p = 0;
    bool covered = false;  // whether the part before was the completions of the same group
    for (const Part& part : parts(context->saved_data["groups"].toIntVector(), masks, q.size(0))) {
      const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          part.ofQueries(slope), part.ofQueries(q), part.ofKeys(k), part.ofKeys(v), part.ofQueries(out), sums[p++], 0.0,
          !part.mask, part.mask);
      part.ofQueries(q_slope).copy_(dq);
      if (covered) {
        part.ofKeys(k_slope).add_(dk);
        part.ofKeys(v_slope).add_(dv);
      } else {
        part.ofKeys(k_slope).copy_(dk);
        part.ofKeys(v_slope).copy_(dv);
      }
      // A group without a prompt is followed by the next group's parts.
      covered = part.mask.has_value() && part.queries < part.keys;
    }
    return {q_slope, k_slope, v_slope, Tensor(), Tensor()};
  }
};

static Tensor withGrad(const Tensor& q, const Tensor& k, const Tensor& v, at::IntArrayRef groups, at::TensorList masks) {
  return SpanAttention::apply(q, k, v, groups, masks.vec());
}

static Tensor withoutGrad(const Tensor& q, const Tensor& k, const Tensor& v, at::IntArrayRef groups,
                          at::TensorList masks) {
  return forward(q, k, v, parts(groups, masks, q.size(0))).out_NHC;
}

static void registerOps(torch::Library& library) {
  library.def("span_attention(Tensor q, Tensor k, Tensor v, int[] groups, Tensor[] masks) -> Tensor");
  library.impl("span_attention", torch::dispatch(c10::DispatchKey::CPU, TORCH_FN(withoutGrad)));
  library.impl("span_attention", torch::dispatch(c10::DispatchKey::AutogradCPU, TORCH_FN(withGrad)));
}

}  // namespace reanchor::attention
