// reanchor::linear(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor
//
// x W^T + b as aten::linear has it. What is new is who computes large products of float32 matrices on the CPU. libtorch
// has MKL do that, which keeps to AVX2 on CPUs that are not Intel's; oneDNN, which libtorch has too, uses their AVX-512
// and takes half the time. Sums are float32 in either, added in another order.
#include "addon.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace at::native {
// Of libtorch, which has it in no header that it ships: result <- alpha a b + beta result, by oneDNN.
__attribute__((weak)) void mkldnn_matmul(const Tensor& a, const Tensor& b, const Tensor& result, float beta, float alpha);
}  // namespace at::native

namespace reanchor {

namespace products {

using at::Tensor;

static bool isAvx512BesidesIntel() {
#if defined(__x86_64__)
  return !__builtin_cpu_is("intel") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

// Where libtorch has not the function that is asked for, nothing does.
static bool canUseOneDnn(bool wanted) { return wanted && at::native::mkldnn_matmul != nullptr; }
static bool uses_one_dnn = canUseOneDnn(isAvx512BesidesIntel());

// Multiply-adds from which a product is worth what oneDNN takes to compile it for its shape, a third of a millisecond.
constexpr int64_t kWorth = 1 << 24;

static bool isForOneDnn(const Tensor& a, int64_t columns) {
  return uses_one_dnn && a.is_cpu() && a.scalar_type() == at::kFloat && a.dim() == 2 && a.numel() * columns >= kWorth;
}

// result <- a b; with `adds`, result <- a b + result.
static void into(Tensor& result, const Tensor& a, const Tensor& b, bool adds = false) {
  if (isForOneDnn(a, b.size(1))) {
    at::native::mkldnn_matmul(a, b, result, adds ? 1 : 0, 1);
  } else if (adds) {
    at::addmm_out(result, result, a, b);
  } else {
    at::mm_out(result, a, b);
  }
}

static Tensor of(const Tensor& a, const Tensor& b) {
  Tensor result = at::empty({a.size(0), b.size(1)}, a.options());
  into(result, a, b);
  return result;
}

}  // namespace products

namespace linear {

using at::Tensor;

static bool suits(const Tensor& x, const Tensor& weight) {
  return weight.dim() == 2 && weight.is_cpu() && weight.scalar_type() == at::kFloat &&
         products::isForOneDnn(x, weight.size(0)) && x.size(1) == weight.size(1);
}

static Tensor forward(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  Tensor result = at::empty({x.size(0), weight.size(0)}, x.options());
  if (bias) result.copy_(*bias);
  products::into(result, x, weight.t(), bias.has_value());
  return result;
}

struct Linear : torch::autograd::Function<Linear> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& bias) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({x, weight});
    context->saved_data["has_bias"] = bias.has_value();
    return linear::forward(x, weight, bias);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "linear can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor &x = saved[0], &weight = saved[1], &slope = grads[0];
    return {context->needs_input_grad(0) ? products::of(slope, weight) : Tensor(),
            context->needs_input_grad(1) ? products::of(slope.t(), x) : Tensor(),
            context->saved_data["has_bias"].toBool() && context->needs_input_grad(2) ? slope.sum(0) : Tensor()};
  }
};

static Tensor withGrad(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  return suits(x, weight) ? Linear::apply(x, weight, bias) : at::linear(x, weight, bias);
}

static Tensor withoutGrad(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  return suits(x, weight) ? forward(x, weight, bias) : at::linear(x, weight, bias);
}

static void registerOps(torch::Library& library) {
  library.def("linear(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor");
  library.impl("linear", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(withoutGrad)));
  library.impl("linear", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(withGrad)));
}

}  // namespace linear

}  // namespace reanchor
