// reanchor::linear_logprob(Tensor hidden, Tensor weight, Tensor targets, int chunk_rows=0) -> Tensor
//
// logprobs_M[m] = log softmax(hidden_MD[m] @ weight_VD^T)[targets_M[m]], without ever holding all M x V logits: rows
// are taken in chunks, sums are in float32 (float64 for float64 input), and the backward pass makes each chunk's logits
// anew from the saved log-sum-exp. With P = softmax and g the incoming gradient,
//   d hidden[m] = g[m] (weight[t] - sum_v P[m, v] weight[v]),    d weight[v] = sum_m g[m] ([v = t] - P[m, v])
//   hidden[m].
// Letters: M scored rows, R rows of a chunk, D hidden size, V vocabulary, B vocabulary rows converted at a time.
#include "addon.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/any.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <mutex>

namespace reanchor {

namespace logprob {

using at::Tensor;

constexpr int64_t kMiB = 1 << 20;

static at::ScalarType sumType(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

// Rows a chunk: 32 MiB of logits, but at least 256 rows while these stay below 64 MiB, so that the matrix product is
// worth its pass over the weight. A GPU needs taller chunks to be busy.
static int64_t chunkRows(int64_t requested, int64_t M, int64_t V, size_t element, bool cuda) {
  if (requested > 0) return std::min(requested, std::max<int64_t>(M, 1));
  const int64_t row = std::max<int64_t>(V * static_cast<int64_t>(element), 1);
  const int64_t usual = (cuda ? 512 : 32) * kMiB / row;
  const int64_t most = (cuda ? 512 : 64) * kMiB / row;
  const int64_t rows = std::max<int64_t>({usual, std::min<int64_t>(256, most), 1});
  return std::min(rows, std::max<int64_t>(M, 1));
}

// Vocabulary rows that are converted to float32 at a time when the CPU works on 16-bit weights: 16 MiB.
static int64_t blockRows(int64_t V, int64_t D) {
  return std::clamp<int64_t>(16 * kMiB / (4 * std::max<int64_t>(D, 1)), 1, V);
}

// Calls f(first, count) over [0, total) in steps.
template <typename F>
void chunks(int64_t total, int64_t step, F&& f) {
  for (int64_t first = 0; first < total; first += step) f(first, std::min(step, total - first));
}

// logits_RV = hidden_RD @ weight_VD^T in the sum type. 16-bit logits are never rounded to 16 bits.
static void project(const Tensor& hidden_RD, const Tensor& weight_VD, Tensor& logits_RV) {
  const auto type = logits_RV.scalar_type();
  if (hidden_RD.scalar_type() == type) {
    at::mm_out(logits_RV, hidden_RD, weight_VD.t());
  } else if (hidden_RD.is_cuda()) {
    at::mm_out(logits_RV, hidden_RD, weight_VD.t(), type);
  } else {
    const Tensor wide_RD = hidden_RD.to(type);
    chunks(weight_VD.size(0), blockRows(weight_VD.size(0), weight_VD.size(1)), [&](int64_t v, int64_t n) {
      Tensor part_RB = logits_RV.narrow(1, v, n);
      at::mm_out(part_RB, wide_RD, weight_VD.narrow(0, v, n).to(type).t());
    });
  }
}

static void check(const Tensor& hidden, const Tensor& weight, const Tensor& targets) {
  TORCH_CHECK(hidden.dim() == 2 && weight.dim() == 2 && targets.dim() == 1,
              "linear_logprob takes hidden [M, D], weight [V, D] and targets [M]; got ", hidden.sizes(), ", ",
              weight.sizes(), " and ", targets.sizes());
  TORCH_CHECK(hidden.size(1) == weight.size(1), "hidden has ", hidden.size(1), " features, weight has ",
              weight.size(1));
  TORCH_CHECK(hidden.size(0) == targets.size(0), "hidden has ", hidden.size(0), " rows, targets has ", targets.size(0));
  TORCH_CHECK(at::isFloatingType(hidden.scalar_type()) && hidden.scalar_type() == weight.scalar_type(),
              "hidden and weight must have the same floating dtype; got ", hidden.scalar_type(), " and ",
              weight.scalar_type());
  TORCH_CHECK(targets.scalar_type() == at::kLong, "targets must be int64; got ", targets.scalar_type());
  TORCH_CHECK(hidden.device() == weight.device() && hidden.device() == targets.device(),
              "hidden, weight and targets must be on one device; got ", hidden.device(), ", ", weight.device(), " and ",
              targets.device());
}

static void checkRange(const Tensor& targets_M, int64_t V) {
  const Tensor bad_M = targets_M.lt(0).logical_or_(targets_M.ge(V));
  if (!bad_M.any().item<bool>()) return;
  const int64_t row = bad_M.nonzero()[0][0].item<int64_t>();
  TORCH_CHECK(false, "targets[", row, "] is ", targets_M[row].item<int64_t>(), ", outside the vocabulary 0..", V - 1);
}

struct Forward {
  Tensor logprobs_M;
  Tensor logsumexp_M;
};

static Forward forward(const Tensor& hidden_MD, const Tensor& weight_VD, const Tensor& targets_M, int64_t requested) {
  check(hidden_MD, weight_VD, targets_M);
  const int64_t M = hidden_MD.size(0), V = weight_VD.size(0);
  const auto options = hidden_MD.options().dtype(sumType(hidden_MD.scalar_type()));
  Forward out{at::empty({M}, options), at::empty({M}, options)};
  if (M == 0 || hidden_MD.is_meta()) return out;
  checkRange(targets_M, V);
  const int64_t R = chunkRows(requested, M, V, options.dtype().itemsize(), hidden_MD.is_cuda());
  const Tensor buffer_RV = at::empty({R, V}, options);
  chunks(M, R, [&](int64_t m, int64_t n) {
    Tensor logits_RV = buffer_RV.narrow(0, 0, n);
    project(hidden_MD.narrow(0, m, n), weight_VD, logits_RV);
    const Tensor picked_R = logits_RV.gather(1, targets_M.narrow(0, m, n).unsqueeze(1)).squeeze(1);
    const Tensor highest_R1 = logits_RV.amax(1, true);
    const Tensor log_total_R = logits_RV.sub_(highest_R1).exp_().sum(1).log_();
    const Tensor highest_R = highest_R1.squeeze(1);
    // (picked - highest) - log(total): the large numbers cancel before anything is rounded to their size.
    out.logprobs_M.narrow(0, m, n).copy_(picked_R.sub_(highest_R).sub_(log_total_R));
    out.logsumexp_M.narrow(0, m, n).copy_(log_total_R.add_(highest_R));
  });
  return out;
}

struct Backward {
  Tensor hidden_MD;
  Tensor weight_VD;
};

static Backward backward(const Tensor& grad_M, const Tensor& hidden_MD, const Tensor& weight_VD,
                         const Tensor& targets_M, const Tensor& logsumexp_M, int64_t requested, bool want_hidden,
                         bool want_weight) {
  const int64_t M = hidden_MD.size(0), V = weight_VD.size(0), D = weight_VD.size(1);
  const auto type = logsumexp_M.scalar_type();
  const bool wide = hidden_MD.scalar_type() == type, cuda = hidden_MD.is_cuda();
  Backward out;
  if (want_hidden) out.hidden_MD = at::empty_like(hidden_MD);
  if (want_weight) out.weight_VD = at::zeros({V, D}, weight_VD.options().dtype(type));
  const int64_t R = chunkRows(requested, M, V, c10::elementSize(type), cuda);
  const Tensor buffer_RV = at::empty({M > 0 ? R : 0, V}, logsumexp_M.options());
  chunks(M, R, [&](int64_t m, int64_t n) {
    const Tensor hidden_RD = hidden_MD.narrow(0, m, n);
    const Tensor grad_R1 = grad_M.narrow(0, m, n).unsqueeze(1);
    Tensor slope_RV = buffer_RV.narrow(0, 0, n);  // d loss / d logits
    project(hidden_RD, weight_VD, slope_RV);
    slope_RV.sub_(logsumexp_M.narrow(0, m, n).unsqueeze(1)).exp_().mul_(grad_R1.neg());
    slope_RV.scatter_add_(1, targets_M.narrow(0, m, n).unsqueeze(1), grad_R1);
    if (wide) {
      if (want_hidden) {
        Tensor part_RD = out.hidden_MD.narrow(0, m, n);
        at::mm_out(part_RD, slope_RV, weight_VD);
      }
      if (want_weight) out.weight_VD.addmm_(slope_RV.t(), hidden_RD);
    } else if (cuda) {
      const Tensor narrow_RV = slope_RV.to(hidden_MD.scalar_type());
      if (want_hidden) {
        Tensor part_RD = out.hidden_MD.narrow(0, m, n);
        at::mm_out(part_RD, narrow_RV, weight_VD);
      }
      if (want_weight) out.weight_VD.add_(at::mm(narrow_RV.t(), hidden_RD, type));
    } else {
      const Tensor wide_RD = want_weight ? hidden_RD.to(type) : Tensor();
      const Tensor part_RD = want_hidden ? at::zeros({n, D}, logsumexp_M.options()) : Tensor();
      chunks(V, blockRows(V, D), [&](int64_t v, int64_t count) {
        const Tensor slope_RB = slope_RV.narrow(1, v, count);
        if (want_hidden) part_RD.addmm_(slope_RB, weight_VD.narrow(0, v, count).to(type));
        if (want_weight) out.weight_VD.narrow(0, v, count).addmm_(slope_RB.t(), wide_RD);
      });
      if (want_hidden) out.hidden_MD.narrow(0, m, n).copy_(part_RD);
    }
  });
  if (want_weight && !wide) out.weight_VD = out.weight_VD.to(weight_VD.scalar_type());
  return out;
}

struct LinearLogprob : torch::autograd::Function<LinearLogprob> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& hidden, const Tensor& weight,
                        const Tensor& targets, int64_t chunk_rows) {
    at::AutoDispatchBelowADInplaceOrView guard;
    Forward out = logprob::forward(hidden, weight, targets, chunk_rows);
    context->save_for_backward({hidden, weight, targets, out.logsumexp_M});
    context->saved_data["chunk_rows"] = chunk_rows;
    return out.logprobs_M;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "linear_logprob can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    at::AutoDispatchBelowADInplaceOrView guard;
    Backward out =
        logprob::backward(grads[0], saved[0], saved[1], saved[2], saved[3], context->saved_data["chunk_rows"].toInt(),
                          context->needs_input_grad(0), context->needs_input_grad(1));
    return {out.hidden_MD, out.weight_VD, Tensor(), Tensor()};
  }
};

static Tensor withGrad(const Tensor& hidden, const Tensor& weight, const Tensor& targets, int64_t chunk_rows) {
  return LinearLogprob::apply(hidden, weight, targets, chunk_rows);
}

static Tensor withoutGrad(const Tensor& hidden, const Tensor& weight, const Tensor& targets, int64_t chunk_rows) {
  return forward(hidden, weight, targets, chunk_rows).logprobs_M;
}

}  // namespace logprob

// Registered when first asked for and only once a process, since a second registration aborts it.
void registerCustomOps() {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (c10::Dispatcher::singleton().findSchema({"reanchor::linear_logprob", ""})) return;
  auto* library = new torch::Library(torch::Library::FRAGMENT, "reanchor", std::nullopt, __FILE__, __LINE__);
  library->def("linear_logprob(Tensor hidden, Tensor weight, Tensor targets, int chunk_rows=0) -> Tensor");
  library->impl("linear_logprob",
                torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(logprob::withoutGrad)));
  library->impl("linear_logprob", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(logprob::withGrad)));
  decode::registerOps(*library);
}

}  // namespace reanchor
