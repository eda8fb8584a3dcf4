// reanchor::heads(int kernel, Tensor[] projections, Tensor cos, Tensor sin, Tensor[] keys) -> Tensor[]
//
// Heads as attention takes them, by kernels/heads.cu: queries and keys with rotary positions. Of one projection
// [N, H, 3C], whose heads have queries, keys and values side by side, come all three; of several, [N, H, C] and
// [N, K, C], queries and keys, and values where a third is given. cos and sin [N, 1, R], whose two halves are equal.
//
// `keys` is empty, or three of int32: rows [G], the tokens whose keys and values are gathered, [G, K, C]; and where
// each token is among them, places[ends[n]] ... places[ends[n + 1] - 1], with ends [N + 1] and places [G]. The backward
// pass writes gradients where they belong in those of the projections, a token's added up in the order of its places.
#include "device_kernels.h"
#include "kernels/heads.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace reanchor::heads {

using at::Tensor;
using Tensors = std::vector<Tensor>;

static void checkKeys(at::TensorList keys, const Tensor& projection) {
  if (keys.empty()) return;
  TORCH_CHECK(keys.size() == 3, "keys are rows, ends and places, got ", keys.size(), " tensors");
  for (const Tensor& x : keys) {
    TORCH_CHECK(x.scalar_type() == at::kInt && x.dim() == 1 && x.is_contiguous() && x.device() == projection.device(),
                "rows, ends and places have to be int32 in one dimension on ", projection.device(), ", got ",
                x.scalar_type(), x.sizes(), " on ", x.device());
  }
  TORCH_CHECK(keys[1].size(0) == projection.size(0) + 1 && keys[2].size(0) == keys[0].size(0), "of ",
              projection.size(0), " tokens, ", keys[0].size(0), " rows have ", keys[1].size(0), " ends and ",
              keys[2].size(0), " places");
}

static void check(at::TensorList projections, const Tensor& cos, const Tensor& sin, at::TensorList keys) {
  TORCH_CHECK(projections.size() >= 1 && projections.size() <= 3, "heads takes one to three projections, got ",
              projections.size());
  const Tensor& first = projections[0];
  TORCH_CHECK(first.dim() == 3, "a projection has to be [N, H, C], got ", first.sizes());
  const int64_t N = first.size(0), C = first.size(2) / (projections.size() == 1 ? 3 : 1);
  TORCH_CHECK(projections.size() > 1 || first.size(2) == 3 * C, "three heads side by side have ", first.size(2),
              " channels");
  for (const Tensor& x : projections) {
    TORCH_CHECK(x.dim() == 3 && x.size(0) == N && x.size(2) == first.size(2) &&
                    x.scalar_type() == first.scalar_type() && x.device() == first.device(),
                "projections have to be alike, got ", first.scalar_type(), first.sizes(), " on ", first.device(), " and ",
                x.scalar_type(), x.sizes(), " on ", x.device());
  }
  for (const Tensor& x : {cos, sin}) {
    TORCH_CHECK(x.dim() == 3 && x.size(0) == N && x.size(1) == 1 && x.size(2) <= C && x.size(2) % 2 == 0 &&
                    x.sizes() == cos.sizes() && x.scalar_type() == first.scalar_type() && x.device() == first.device(),
                "cos and sin have to be ", first.scalar_type(), "[", N, ", 1, R] on ", first.device(),
                " with an even R up to ", C, "; got ", x.scalar_type(), x.sizes(), " on ", x.device());
  }
  checkKeys(keys, first);
}

// The heads of projections, as views.
static Tensors partsOf(at::TensorList projections) {
  return projections.size() == 1 ? projections[0].chunk(3, 2) : projections.vec();
}

static bool liesByFour(const Tensor& x) {
  return device::addressOf(x) % (4 * x.element_size()) == 0 && x.stride(0) % 4 == 0 && x.stride(1) % 4 == 0 &&
         x.size(2) % 4 == 0;
}

// Heads from some tensors to others; queries and keys, which are the first two, are turned on the way. `rows` and
// `ends` are those of all parts but the queries.
static void move(int64_t kernel, const Tensors& from, const Tensors& to, const Tensor& given_cos,
                 const Tensor& given_sin, const Tensor& rows, const Tensor& ends, float direction) {
  const Tensor cos = device::readable(given_cos), sin = device::readable(given_sin);
  Heads a{};
  Tensors copies;  // until the kernel has been launched
  int64_t blocks = 0;
  a.by_four = 1;
  for (size_t i = 0; i < from.size(); i++) {
    if (!to[i].defined()) continue;
    const Tensor x = from[i].stride(2) == 1 ? from[i] : from[i].contiguous();
    copies.push_back(x);
    a.parts[a.count++] = {device::addressOf(x),
                          device::addressOf(to[i]),
                          i == 0 ? 0 : device::addressOf(rows),
                          i == 0 ? 0 : device::addressOf(ends),
                          to[i].size(0),
                          x.stride(0),
                          x.stride(1),
                          to[i].stride(0),
                          to[i].stride(1),
                          static_cast<int>(x.size(1)),
                          i < 2};
    blocks = std::max(blocks, to[i].size(0));
    if (!liesByFour(x) || !liesByFour(to[i])) a.by_four = 0;
  }
  a.cos = device::addressOf(cos);
  a.sin = device::addressOf(sin);
  a.channels = static_cast<int>(from[0].size(2));
  a.rotary = static_cast<int>(cos.size(2));
  a.direction = direction;
  device::launch(kernel, cos.device(), blocks, &a);
}

static Tensors forward(int64_t kernel, at::TensorList projections, const Tensor& cos, const Tensor& sin,
                       at::TensorList keys) {
  const Tensors from = partsOf(projections);
  Tensors to;
  for (const Tensor& x : from) {
    const int64_t tokens = to.empty() || keys.empty() ? x.size(0) : keys[0].size(0);
    to.push_back(at::empty({tokens, x.size(1), x.size(2)}, x.options()));
  }
  move(kernel, from, to, cos, sin, keys.empty() ? Tensor() : keys[0], Tensor(), 1);
  return to;
}

struct Turn : torch::autograd::Function<Turn> {
  static Tensors forward(torch::autograd::AutogradContext* context, int64_t kernel, at::TensorList projections,
                         const Tensor& cos, const Tensor& sin, const Tensors& keys) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({cos, sin, keys.empty() ? Tensor() : keys[1], keys.empty() ? Tensor() : keys[2]});
    context->saved_data["kernel"] = kernel;
    context->saved_data["is_joined"] = projections.size() == 1;
    return heads::forward(kernel, projections, cos, sin, keys);
  }

  static Tensors backward(torch::autograd::AutogradContext* context, Tensors grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "heads can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    at::AutoDispatchBelowADInplaceOrView guard;
    const int64_t kernel = context->saved_data["kernel"].toInt();
    const int64_t N = grads[0].size(0), C = grads[0].size(2);
    Tensors slopes;
    if (context->saved_data["is_joined"].toBool()) {
      slopes = {at::empty({N, grads[0].size(1), 3 * C}, grads[0].options())};
    } else {
      for (size_t i = 0; i < grads.size(); i++) {
        const bool is_asked = context->needs_input_grad(i);
        slopes.push_back(is_asked ? at::empty({N, grads[i].size(1), C}, grads[i].options()) : Tensor());
      }
    }
    move(kernel, grads, partsOf(slopes), saved[0], saved[1], saved[3], saved[2], -1);
    slopes.insert(slopes.begin(), Tensor());
    slopes.resize(slopes.size() + 3);
    return slopes;
  }
};

static Tensors withGrad(int64_t kernel, at::TensorList projections, const Tensor& cos, const Tensor& sin,
                        at::TensorList keys) {
  check(projections, cos, sin, keys);
  return Turn::apply(kernel, projections, cos, sin, keys.vec());
}

static Tensors withoutGrad(int64_t kernel, at::TensorList projections, const Tensor& cos, const Tensor& sin,
                           at::TensorList keys) {
  check(projections, cos, sin, keys);
  return forward(kernel, projections, cos, sin, keys);
}

static void registerOps(torch::Library& library) {
  library.def("heads(int kernel, Tensor[] projections, Tensor cos, Tensor sin, Tensor[] keys) -> Tensor[]");
  library.impl("heads", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(withoutGrad)));
  library.impl("heads", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(withGrad)));
}

}  // namespace reanchor::heads
