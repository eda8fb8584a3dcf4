// reanchor::rotate(Tensor x, Tensor cos, Tensor sin) -> Tensor
//
// Rotary position embedding in the half-split layout: the first R channels of each head, x = (x1, x2) in halves, become
// x cos + (-x2, x1) sin; the others stay. x [N, H, C]; cos, sin [N, 1, R], whose two halves are equal. The transpose of
// a rotation is the rotation back, which is all that the backward pass does.
#include "addon.h"
#include "kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace reanchor::rotary {

using at::Tensor;

static void check(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  TORCH_CHECK(x.dim() == 3 && cos.dim() == 3 && cos.size(0) == x.size(0) && cos.size(1) == 1 &&
                  cos.size(2) <= x.size(2) && cos.size(2) % 2 == 0 && cos.sizes() == sin.sizes(),
              "x [N, H, C], cos and sin [N, 1, R] with an even R up to C have shapes ", x.sizes(), ", ", cos.sizes(),
              " and ", sin.sizes());
}

static bool hasKernel(const Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

struct Rotation {
  const float* x;
  int64_t token_stride, head_stride;
  const float* cos;
  const float* sin;
  float* y;
  int64_t H, C, R;
  float direction;  // 1, or -1 for the rotation back
};

REANCHOR_INLINE void tokens(const Rotation& r, int64_t first, int64_t end) {
  const int64_t half = r.R / 2;
  for (int64_t n = first; n < end; n++) {
    const float *c = r.cos + n * r.R, *s = r.sin + n * r.R;
    for (int64_t h = 0; h < r.H; h++) {
      const float* from = r.x + n * r.token_stride + h * r.head_stride;
      float* to = r.y + (n * r.H + h) * r.C;
      for (int64_t i = 0; i < half; i++) {
        const float a = from[i], b = from[i + half], turn = r.direction * s[i];
        to[i] = a * c[i] - b * turn;
        to[i + half] = b * c[i] + a * turn;
      }
      std::copy(from + r.R, from + r.C, to + r.R);
    }
  }
}
REANCHOR_WIDE static void tokensWide(const Rotation& r, int64_t first, int64_t end) { tokens(r, first, end); }
static void tokensAny(const Rotation& r, int64_t first, int64_t end) { tokens(r, first, end); }

// The same by libtorch's operators, written half by half into the result.
static Tensor composed(const Tensor& x_NHC, const Tensor& cos, const Tensor& sin, float direction) {
  const int64_t C = x_NHC.size(2), R = cos.size(2), half = R / 2;
  Tensor y_NHC = at::empty(x_NHC.sizes(), x_NHC.options());
  const Tensor c = cos.narrow(2, 0, half), s = sin.narrow(2, 0, half);
  const Tensor a = x_NHC.narrow(2, 0, half), b = x_NHC.narrow(2, half, half);
  Tensor first = y_NHC.narrow(2, 0, half), second = y_NHC.narrow(2, half, half);
  at::mul_out(first, a, c).addcmul_(b, s, -direction);
  at::mul_out(second, b, c).addcmul_(a, s, direction);
  if (R < C) y_NHC.narrow(2, R, C - R).copy_(x_NHC.narrow(2, R, C - R));
  return y_NHC;
}

static Tensor turn(const Tensor& given, const Tensor& given_cos, const Tensor& given_sin, float direction) {
  check(given, given_cos, given_sin);
  if (!hasKernel(given)) return composed(given, given_cos, given_sin, direction);
  const Tensor x = given.stride(2) == 1 ? given : given.contiguous();
  const Tensor cos = given_cos.to(at::kFloat).contiguous(), sin = given_sin.to(at::kFloat).contiguous();
  Tensor y = at::empty(x.sizes(), x.options());
  const Rotation r{x.const_data_ptr<float>(), x.stride(0), x.stride(1), cos.const_data_ptr<float>(),
                   sin.const_data_ptr<float>(), y.mutable_data_ptr<float>(), x.size(1), x.size(2), cos.size(2),
                   direction};
  const auto run = isWide() ? tokensWide : tokensAny;
  parallel(x.size(0), x.numel(), [&](int64_t first, int64_t end) { run(r, first, end); });
  return y;
}

struct Rotate : torch::autograd::Function<Rotate> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& cos, const Tensor& sin) {
    at::AutoDispatchBelowADInplaceOrView guard;
    context->save_for_backward({cos, sin});
    return turn(x, cos, sin, 1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "rotate can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    at::AutoDispatchBelowADInplaceOrView guard;
    return {turn(grads[0], saved[0], saved[1], -1), Tensor(), Tensor()};
  }
};

static Tensor withGrad(const Tensor& x, const Tensor& cos, const Tensor& sin) { return Rotate::apply(x, cos, sin); }
static Tensor withoutGrad(const Tensor& x, const Tensor& cos, const Tensor& sin) { return turn(x, cos, sin, 1); }

static void registerOps(torch::Library& library) {
  library.def("rotate(Tensor x, Tensor cos, Tensor sin) -> Tensor");
  library.impl("rotate", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(withoutGrad)));
  library.impl("rotate", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(withGrad)));
}

}  // namespace reanchor::rotary
