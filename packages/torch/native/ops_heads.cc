// reanchor::heads(int kernel, Tensor[] projections, Tensor cos, Tensor sin) -> Tensor[]
//
// Heads as attention takes them, by kernels/heads.cu: queries and keys with rotary positions, [N, H, C]. Of one
// projection [N, H, 3C], whose heads have queries, keys and values side by side, come all three; of two, [N, H, C] and
// [N, K, C], the queries and the keys. cos and sin [N, 1, R], whose two halves are equal. The backward pass writes
// gradients where they belong in those of the projections.
#include "device_kernels.h"
#include "kernels/heads.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace reanchor::heads {

using at::Tensor;
using Tensors = std::vector<Tensor>;

static void check(at::TensorList projections, const Tensor& cos, const Tensor& sin) {
  TORCH_CHECK(projections.size() == 1 || projections.size() == 2, "heads takes one projection or two, got ",
              projections.size());
  const Tensor& first = projections[0];
  TORCH_CHECK(first.dim() == 3, "a projection has to be [N, H, C], got ", first.sizes());
  const int64_t N = first.size(0), C = first.size(2) / (projections.size() == 1 ? 3 : 1);
  TORCH_CHECK(projections.size() == 2 || first.size(2) == 3 * C, "three heads side by side have ", first.size(2),
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
}

// The heads of projections, as views.
static Tensors partsOf(at::TensorList projections) {
  return projections.size() == 1 ? projections[0].chunk(3, 2) : projections.vec();
}

static bool liesByFour(const Tensor& x) {
  return device::addressOf(x) % (4 * x.element_size()) == 0 && x.stride(0) % 4 == 0 && x.stride(1) % 4 == 0 &&
         x.size(2) % 4 == 0;
}

// Queries and keys, which are the first two, are turned on the way.
static void move(int64_t kernel, const Tensors& from, const Tensors& to, const Tensor& given_cos,
                 const Tensor& given_sin, float direction) {
  const Tensor cos = device::readable(given_cos), sin = device::readable(given_sin);
  Heads a{};
  Tensors copies;  // until the kernel has been launched
  a.by_four = 1;
  for (size_t i = 0; i < from.size(); i++) {
    if (!to[i].defined()) continue;
    const Tensor x = from[i].stride(2) == 1 ? from[i] : from[i].contiguous();
    copies.push_back(x);
    a.parts[a.count++] = {device::addressOf(x), device::addressOf(to[i]), x.stride(0), x.stride(1), to[i].stride(0),
                          to[i].stride(1), static_cast<int>(x.size(1)), i < 2};
    if (!liesByFour(x) || !liesByFour(to[i])) a.by_four = 0;
  }
  a.cos = device::addressOf(cos);
  a.sin = device::addressOf(sin);
  a.channels = static_cast<int>(from[0].size(2));
  a.rotary = static_cast<int>(cos.size(2));
  a.direction = direction;
  device::launch(kernel, cos.device(), from[0].size(0), &a);
}

static Tensors forward(int64_t kernel, at::TensorList projections, const Tensor& cos, const Tensor& sin) {
  const Tensors from = partsOf(projections);
  Tensors to;
  for (const Tensor& x : from) to.push_back(at::empty(x.sizes(), x.options()));
  move(kernel, from, to, cos, sin, 1);
  return to;
}

struct Turn : torch::autograd::Function<Turn> {
  static Tensors forward(torch::autograd::AutogradContext* context, int64_t kernel, at::TensorList projections,
                         const Tensor& cos, const Tensor& sin) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({cos, sin});
    context->saved_data["kernel"] = kernel;
    return heads::forward(kernel, projections, cos, sin);
  }

  static Tensors backward(torch::autograd::AutogradContext* context, Tensors grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "heads can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    at::AutoDispatchBelowADInplaceOrView guard;
    const int64_t kernel = context->saved_data["kernel"].toInt();
    const bool is_joined = grads.size() == 3;
    Tensors slopes;
    if (is_joined) {
      const Tensor& q = grads[0];
      slopes = {at::empty({q.size(0), q.size(1), 3 * q.size(2)}, q.options())};
    } else {
      for (size_t i = 0; i < grads.size(); i++) {
        slopes.push_back(context->needs_input_grad(i) ? at::empty(grads[i].sizes(), grads[i].options()) : Tensor());
      }
    }
    move(kernel, grads, partsOf(slopes), saved[0], saved[1], -1);
    slopes.insert(slopes.begin(), Tensor());
    slopes.resize(slopes.size() + 2);
    return slopes;
  }
};

static Tensors withGrad(int64_t kernel, at::TensorList projections, const Tensor& cos, const Tensor& sin) {
  check(projections, cos, sin);
  return Turn::apply(kernel, projections, cos, sin);
}

static Tensors withoutGrad(int64_t kernel, at::TensorList projections, const Tensor& cos, const Tensor& sin) {
  check(projections, cos, sin);
  return forward(kernel, projections, cos, sin);
}

static void registerOps(torch::Library& library) {
  library.def("heads(int kernel, Tensor[] projections, Tensor cos, Tensor sin) -> Tensor[]");
  library.impl("heads", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(withoutGrad)));
  library.impl("heads", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(withGrad)));
}

}  // namespace reanchor::heads
