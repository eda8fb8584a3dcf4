// reanchor::linear_logprob(Tensor hidden, Tensor weight, Tensor targets, int chunk_rows=0, int keep_bytes=-1) -> Tensor
//
// logprobs_M[m] = log softmax(hidden_MD[m] @ weight_VD^T)[targets_M[m]], without holding all M x V logits at once: rows
// are taken in chunks, and sums are in float32 (float64 for float64 input). With P = softmax and g the incoming
// gradient,
//   d hidden[m] = g[m] (weight[t] - sum_v P[m, v] weight[v]),    d weight[v] = sum_m g[m] ([v = t] - P[m, v])
//   hidden[m].
// For backward, the exponentials of the first chunks are kept up to `keep_bytes`; of the others the logits are made
// anew, which costs one more matrix product.
// Letters: M scored rows, R rows of a chunk, D hidden size, V vocabulary, B vocabulary rows converted at a time.
#include "addon.h"
#include "head_bf16.h"
#include "kernels.h"

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
#include <cmath>
#include <limits>
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

static int64_t keepBytes(int64_t requested, bool cuda) {
  return requested >= 0 ? requested : (cuda ? 1024 : 128) * kMiB;
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
    products::into(logits_RV, hidden_RD, weight_VD.t());
  } else if (hidden_RD.is_cuda()) {
    at::mm_out(logits_RV, hidden_RD, weight_VD.t(), type);
  } else if (head_bf16::suits(hidden_RD)) {
    head_bf16::project(hidden_RD, weight_VD, logits_RV);
  } else {
    const Tensor wide_RD = hidden_RD.to(type);
    chunks(weight_VD.size(0), blockRows(weight_VD.size(0), weight_VD.size(1)), [&](int64_t v, int64_t n) {
      Tensor part_RB = logits_RV.narrow(1, v, n);
      at::mm_out(part_RB, wide_RD, weight_VD.narrow(0, v, n).to(type).t());
    });
  }
}

// ---- passes over the rows of a chunk, in libtorch's operators or, for float32 on the CPU, in one pass each

static bool hasKernels(const Tensor& logits_RV) {
  return logits_RV.is_cpu() && logits_RV.scalar_type() == at::kFloat;
}

REANCHOR_INLINE float highestOf(const float* x, int64_t V) {
  Lane highest = Lane{} - std::numeric_limits<float>::infinity();
  int64_t v = 0;
  for (; v + kLane <= V; v += kLane) {
    const Lane next = load(x + v);
    highest = next > highest ? next : highest;
  }
  float most = -std::numeric_limits<float>::infinity();
  for (int64_t l = 0; l < kLane; l++) most = std::max(most, highest[l]);
  for (; v < V; v++) most = std::max(most, x[v]);
  return most;
}

// x <- e^(x - shift) factor; returns the sum before the factor, in float64 over blocks that float32 sums well.
REANCHOR_INLINE double exponentials(float* x, int64_t V, float shift, float factor) {
  constexpr int64_t kBlock = 64 * kLane;
  double total = 0;
  for (int64_t first = 0; first < V; first += kBlock) {
    const int64_t end = std::min(first + kBlock, V);
    Lane part = {};
    int64_t v = first;
    for (; v + kLane <= end; v += kLane) {
      Lane y = load(x + v) - shift;
      expLanes(y);
      part += y;
      store(x + v, y * factor);
    }
    total += sum(part);
    for (; v < end; v++) {
      const float y = std::exp(x[v] - shift);
      total += y;
      x[v] = y * factor;
    }
  }
  return total;
}

REANCHOR_INLINE void forwardRow(float* x, int64_t V, float& highest, double& total) {
  highest = highestOf(x, V);
  total = exponentials(x, V, highest, 1);
}
REANCHOR_WIDE static void forwardRowWide(float* x, int64_t V, float& h, double& t) { forwardRow(x, V, h, t); }
static void forwardRowAny(float* x, int64_t V, float& h, double& t) { forwardRow(x, V, h, t); }
REANCHOR_WIDE static void expRowWide(float* x, int64_t V, float shift, float f) { exponentials(x, V, shift, f); }
static void expRowAny(float* x, int64_t V, float shift, float factor) { exponentials(x, V, shift, factor); }
REANCHOR_WIDE static void scaleRowWide(float* x, int64_t V, float factor) {
  for (int64_t v = 0; v < V; v++) x[v] *= factor;
}
static void scaleRowAny(float* x, int64_t V, float factor) {
  for (int64_t v = 0; v < V; v++) x[v] *= factor;
}

// What forward finds of each row: log p of its target, log sum_v e^logit, and 1 / sum_v e^(logit - highest).
struct Rows {
  Tensor logprobs;
  Tensor logsumexp;
  Tensor shares;

  Rows narrow(int64_t first, int64_t count) const {
    return {logprobs.defined() ? logprobs.narrow(0, first, count) : logprobs, logsumexp.narrow(0, first, count), shares.narrow(0, first, count)};
  }
};

// logits_RV <- e^(logits - highest of the row).
static void forwardRows(Tensor& logits_RV, const Tensor& targets_R, const Rows& rows_R) {
  if (!hasKernels(logits_RV)) {
    const Tensor picked_R = logits_RV.gather(1, targets_R.unsqueeze(1)).squeeze(1);
    const Tensor highest_R1 = logits_RV.amax(1, true);
    const Tensor log_total_R = logits_RV.sub_(highest_R1).exp_().sum(1).log_();
    const Tensor highest_R = highest_R1.squeeze(1);
    // (picked - highest) - log(total): the large numbers cancel before anything is rounded to their size.
    rows_R.logprobs.copy_(picked_R.sub_(highest_R).sub_(log_total_R));
    rows_R.shares.copy_(log_total_R.neg().exp_());
    rows_R.logsumexp.copy_(log_total_R.add_(highest_R));
    return;
  }
  const int64_t V = logits_RV.size(1);
  float* logits = logits_RV.mutable_data_ptr<float>();
  const int64_t* target = targets_R.const_data_ptr<int64_t>();
  float* logprobs = rows_R.logprobs.mutable_data_ptr<float>();
  float* logsumexp = rows_R.logsumexp.mutable_data_ptr<float>();
  float* shares = rows_R.shares.mutable_data_ptr<float>();
  const auto row = isWide() ? forwardRowWide : forwardRowAny;
  parallel(logits_RV.size(0), 8 * logits_RV.numel(), [&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; r++) {
      float* x = logits + r * V;
      const float picked = x[target[r]];
      float highest;
      double total;
      row(x, V, highest, total);
      logprobs[r] = static_cast<float>(static_cast<double>(picked - highest) - std::log(total));
      logsumexp[r] = static_cast<float>(highest + std::log(total));
      shares[r] = static_cast<float>(1 / total);
    }
  });
}

// The derivative of the loss by the logits, from what forward left of kept rows or from logits made anew.
static void slopeRows(Tensor& slope_RV, bool kept, const Tensor& grad_R, const Tensor& targets_R, const Rows& rows_R) {
  if (!hasKernels(slope_RV)) {
    const Tensor grad_R1 = grad_R.unsqueeze(1);
    if (kept) {
      slope_RV.mul_(rows_R.shares.mul(grad_R).neg_().unsqueeze(1));
    } else {
      slope_RV.sub_(rows_R.logsumexp.unsqueeze(1)).exp_().mul_(grad_R1.neg());
    }
    slope_RV.scatter_add_(1, targets_R.unsqueeze(1), grad_R1);
    return;
  }
  const int64_t V = slope_RV.size(1);
  float* slope = slope_RV.mutable_data_ptr<float>();
  const Tensor grads = grad_R.contiguous();
  const float* grad = grads.const_data_ptr<float>();
  const int64_t* target = targets_R.const_data_ptr<int64_t>();
  const float* shares = rows_R.shares.const_data_ptr<float>();
  const float* logsumexp = rows_R.logsumexp.const_data_ptr<float>();
  const auto scale = isWide() ? scaleRowWide : scaleRowAny;
  const auto exponential = isWide() ? expRowWide : expRowAny;
  parallel(slope_RV.size(0), 4 * slope_RV.numel(), [&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; r++) {
      float* x = slope + r * V;
      if (kept) {
        scale(x, V, -grad[r] * shares[r]);
      } else {
        exponential(x, V, logsumexp[r], -grad[r]);
      }
      x[target[r]] += grad[r];
    }
  });
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
  Rows rows_M;
  Tensor kept_KV;  // what forwardRows left of the first K rows, a whole number of chunks; undefined for none
};

static Forward forward(const Tensor& hidden_MD, const Tensor& weight_VD, const Tensor& targets_M, int64_t requested,
                       int64_t keep_bytes) {
  check(hidden_MD, weight_VD, targets_M);
  const int64_t M = hidden_MD.size(0), V = weight_VD.size(0);
  const auto options = hidden_MD.options().dtype(sumType(hidden_MD.scalar_type()));
  Forward out{{at::empty({M}, options), at::empty({M}, options), at::empty({M}, options)}, Tensor()};
  if (M == 0 || hidden_MD.is_meta()) return out;
  checkRange(targets_M, V);
  const int64_t element = static_cast<int64_t>(options.dtype().itemsize());
  const int64_t R = chunkRows(requested, M, V, element, hidden_MD.is_cuda());
  const int64_t room = keep_bytes / std::max<int64_t>(V * element, 1);
  const int64_t K = room >= M ? M : room / R * R;
  if (K > 0) out.kept_KV = at::empty({K, V}, options);
  const Tensor buffer_RV = K < M ? at::empty({std::min(R, M - K), V}, options) : Tensor();
  chunks(M, R, [&](int64_t m, int64_t n) {
    Tensor logits_RV = m < K ? out.kept_KV.narrow(0, m, n) : buffer_RV.narrow(0, 0, n);
    project(hidden_MD.narrow(0, m, n), weight_VD, logits_RV);
    forwardRows(logits_RV, targets_M.narrow(0, m, n), out.rows_M.narrow(m, n));
  });
  return out;
}

struct Backward {
  Tensor hidden_MD;
  Tensor weight_VD;
};

// Uses up `kept_KV`.
static Backward backward(const Tensor& grad_M, const Tensor& hidden_MD, const Tensor& weight_VD,
                         const Tensor& targets_M, const Rows& rows_M, const Tensor& kept_KV, int64_t requested,
                         bool want_hidden, bool want_weight) {
  const int64_t M = hidden_MD.size(0), V = weight_VD.size(0), D = weight_VD.size(1);
  const int64_t K = kept_KV.defined() ? kept_KV.size(0) : 0;
  const auto type = rows_M.logsumexp.scalar_type();
  const bool wide = hidden_MD.scalar_type() == type, cuda = hidden_MD.is_cuda();
  Backward out;
  if (want_hidden) out.hidden_MD = at::empty_like(hidden_MD);
  if (want_weight) {
    const auto options = weight_VD.options().dtype(type);
    // The first chunk of the usual case writes what later ones add to.
    out.weight_VD = wide && M > 0 ? at::empty({V, D}, options) : at::zeros({V, D}, options);
  }
  const int64_t R = chunkRows(requested, M, V, c10::elementSize(type), cuda);
  const Tensor buffer_RV = K < M ? at::empty({std::min(R, M - K), V}, rows_M.logsumexp.options()) : Tensor();
  chunks(M, R, [&](int64_t m, int64_t n) {
    const Tensor hidden_RD = hidden_MD.narrow(0, m, n);
    Tensor slope_RV = m < K ? kept_KV.narrow(0, m, n) : buffer_RV.narrow(0, 0, n);  // d loss / d logits
    if (m >= K) project(hidden_RD, weight_VD, slope_RV);
    slopeRows(slope_RV, m < K, grad_M.narrow(0, m, n), targets_M.narrow(0, m, n), rows_M.narrow(m, n));
    if (wide) {
      if (want_hidden) {
        Tensor part_RD = out.hidden_MD.narrow(0, m, n);
        products::into(part_RD, slope_RV, weight_VD);
      }
      if (want_weight) products::into(out.weight_VD, slope_RV.t(), hidden_RD, m > 0);
    } else if (cuda) {
      const Tensor narrow_RV = slope_RV.to(hidden_MD.scalar_type());
      if (want_hidden) {
        Tensor part_RD = out.hidden_MD.narrow(0, m, n);
        at::mm_out(part_RD, narrow_RV, weight_VD);
      }
      if (want_weight) out.weight_VD.add_(at::mm(narrow_RV.t(), hidden_RD, type));
    } else if (head_bf16::suits(hidden_RD)) {
      const Tensor part_RD = want_hidden ? out.hidden_MD.narrow(0, m, n) : Tensor();
      head_bf16::backward(slope_RV, hidden_RD, weight_VD, part_RD, out.weight_VD);
    } else {
      const Tensor wide_RD = want_weight ? hidden_RD.to(type) : Tensor();
      const Tensor part_RD = want_hidden ? at::zeros({n, D}, rows_M.logsumexp.options()) : Tensor();
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
                        const Tensor& given_targets, int64_t chunk_rows, int64_t keep_bytes) {
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor targets = given_targets.contiguous();
    Forward out = logprob::forward(hidden, weight, targets, chunk_rows, keepBytes(keep_bytes, hidden.is_cuda()));
    context->save_for_backward({hidden, weight, targets});
    context->saved_data["rows"] = std::vector<Tensor>{out.rows_M.logsumexp, out.rows_M.shares};
    if (out.kept_KV.defined()) context->saved_data["kept"] = out.kept_KV;
    context->saved_data["chunk_rows"] = chunk_rows;
    return out.rows_M.logprobs;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "linear_logprob can be differentiated once only (createGraph is set)");
    const auto saved = context->get_saved_variables();
    const auto rows = context->saved_data["rows"].toTensorVector();
    // Kept rows are used up; a second pass over the same graph makes their logits anew.
    const auto found = context->saved_data.find("kept");
    Tensor kept;
    if (found != context->saved_data.end()) {
      kept = found->second.toTensor();
      context->saved_data.erase(found);
    }
    at::AutoDispatchBelowADInplaceOrView guard;
    Backward out = logprob::backward(grads[0], saved[0], saved[1], saved[2], {Tensor(), rows[0], rows[1]}, kept,
                                     context->saved_data["chunk_rows"].toInt(), context->needs_input_grad(0),
                                     context->needs_input_grad(1));
    return {out.hidden_MD, out.weight_VD, Tensor(), Tensor(), Tensor()};
  }
};

static Tensor withGrad(const Tensor& hidden, const Tensor& weight, const Tensor& targets, int64_t chunk_rows,
                       int64_t keep_bytes) {
  return LinearLogprob::apply(hidden, weight, targets, chunk_rows, c10::GradMode::is_enabled() ? keep_bytes : 0);
}

static Tensor withoutGrad(const Tensor& hidden, const Tensor& weight, const Tensor& targets, int64_t chunk_rows,
                          int64_t) {
  return forward(hidden, weight, targets.contiguous(), chunk_rows, 0).rows_M.logprobs;
}

}  // namespace logprob

// Registered when first asked for and only once a process, since a second registration aborts it.
void registerCustomOps() {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  if (c10::Dispatcher::singleton().findSchema({"reanchor::linear_logprob", ""})) return;
  auto* library = new torch::Library(torch::Library::FRAGMENT, "reanchor", std::nullopt, __FILE__, __LINE__);
  library->def(
      "linear_logprob(Tensor hidden, Tensor weight, Tensor targets, int chunk_rows=0, int keep_bytes=-1) -> Tensor");
  library->impl("linear_logprob",
                torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(logprob::withoutGrad)));
  library->impl("linear_logprob", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(logprob::withGrad)));
  decode::registerOps(*library);
  distance::registerOps(*library);
  linear::registerOps(*library);
  adamw8::registerOps(*library);
  attention::registerOps(*library);
  rotary::registerOps(*library);
  heads::registerOps(*library);
  nf4::registerOps(*library);
  swiglu::registerOps(*library);
  update::registerOps(*library);
}

}  // namespace reanchor
