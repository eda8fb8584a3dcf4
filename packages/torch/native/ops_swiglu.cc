// reanchor::swiglu(int[] kernels, Tensor gate, Tensor up) -> Tensor
//
// silu(gate) up in one pass of kernels/swiglu.cu, and both gradients in another, by the two kernels whose numbers are
// given. Only gate and up are kept between them.
#include "device_kernels.h"
#include "kernels/swiglu.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace reanchor::swiglu {

using at::Tensor;

static void check(at::IntArrayRef kernels, const Tensor& gate, const Tensor& up) {
  TORCH_CHECK(kernels.size() == 2, "swiglu takes two kernels, got ", kernels.size());
  TORCH_CHECK(gate.sizes() == up.sizes() && gate.scalar_type() == up.scalar_type() && gate.device() == up.device(),
              "gate and up have to be alike, got ", gate.scalar_type(), gate.sizes(), " on ", gate.device(), " and ",
              up.scalar_type(), up.sizes(), " on ", up.device());
}

static Tensor emptyLike(const Tensor& x) { return at::empty(x.sizes(), x.options()); }

static void launch(int64_t kernel, const Tensor& x, Swiglu& a) {
  a.elements = x.numel();
  device::launch(kernel, x.device(), (a.elements + a.kElementsOfBlock - 1) / a.kElementsOfBlock, &a);
}

static Tensor product(int64_t kernel, const Tensor& given_gate, const Tensor& given_up) {
  const Tensor gate = device::readable(given_gate), up = device::readable(given_up);
  Tensor y = emptyLike(gate);
  Swiglu a{};
  a.gate = device::addressOf(gate);
  a.up = device::addressOf(up);
  a.y = device::addressOf(y);
  launch(kernel, gate, a);
  return y;
}

struct Product : torch::autograd::Function<Product> {
  static Tensor forward(torch::autograd::AutogradContext* context, at::IntArrayRef kernels, const Tensor& gate,
                        const Tensor& up) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({gate, up});
    context->saved_data["kernel"] = kernels[1];
    return product(kernels[0], gate, up);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "swiglu can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor gate = device::readable(saved[0]), up = device::readable(saved[1]);
    const Tensor slope = device::readable(grads[0]);
    const Tensor gate_slope = context->needs_input_grad(0) ? emptyLike(gate) : Tensor();
    const Tensor up_slope = context->needs_input_grad(1) ? emptyLike(up) : Tensor();
    Swiglu a{};
    a.gate = device::addressOf(gate);
    a.up = device::addressOf(up);
    a.slope = device::addressOf(slope);
    a.gate_slope = device::addressOf(gate_slope);
    a.up_slope = device::addressOf(up_slope);
    launch(context->saved_data["kernel"].toInt(), gate, a);
    return {Tensor(), gate_slope, up_slope};
  }
};

static Tensor withGrad(at::IntArrayRef kernels, const Tensor& gate, const Tensor& up) {
  check(kernels, gate, up);
  return Product::apply(kernels, gate, up);
}

static Tensor withoutGrad(at::IntArrayRef kernels, const Tensor& gate, const Tensor& up) {
  check(kernels, gate, up);
  return product(kernels[0], gate, up);
}

static void registerOps(torch::Library& library) {
  library.def("swiglu(int[] kernels, Tensor gate, Tensor up) -> Tensor");
  library.impl("swiglu", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(withoutGrad)));
  library.impl("swiglu", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(withGrad)));
}

}  // namespace reanchor::swiglu
