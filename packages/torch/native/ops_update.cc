// reanchor::update_(int kernel, Tensor(a!)[] weights, Tensor(b!)[] rounded, Tensor[] gradients, Tensor(c!)[] means,
//   Tensor(d!)[] squares, Tensor(e!)[] references, Tensor(f!)[] rounded_references, float[] keep, float factor,
//   float lr, float beta1, float beta2, float eps, int step, float share) -> (float[], Tensor)
//
// An optimizer step, and the reference that is measured or moved after it, in one pass of kernels/update.cu. Lists have
// one tensor for each weight, or none: without `gradients` no step is made, without `references` nothing is measured;
// with a share of 0 references stay where they are. Returns sums over all elements: of (reference - weight)^2 before
// and after, of reference^2; and a checksum of the bits of each reference, int64 on the CPU. Both are empty without
// references, and then nothing is waited for.
#include "device_kernels.h"
#include "kernels/update.h"

#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cmath>
#include <cstring>

namespace reanchor::update {

using at::Tensor;

static uint64_t addressOf(const Tensor& x, at::ScalarType type, const Tensor& weight, const char* what) {
  TORCH_CHECK(x.scalar_type() == type && x.device() == weight.device() && x.is_contiguous() &&
                  x.sizes() == weight.sizes(),
              what, " has to be ", type, weight.sizes(), " on ", weight.device(), ", contiguous; got ", x.scalar_type(),
              x.sizes(), " on ", x.device());
  const uint64_t address = device::addressOf(x);
  TORCH_CHECK(address % (4 * x.element_size()) == 0, what, " does not begin at a multiple of four elements");
  return address;
}

// The addresses of a list that has one tensor for each weight, or none.
template <typename Set>
static void each(at::TensorList list, at::TensorList weights, at::ScalarType type, const char* what, const Set& set) {
  TORCH_CHECK(list.empty() || list.size() == weights.size(), what, " are ", list.size(), " for ", weights.size(),
              " weights");
  for (size_t i = 0; i < list.size(); i++) set(i, addressOf(list[i], type, weights[i], what));
}

// Bytes of the host on the device, by way of pinned memory and without waiting for it.
static Tensor onDevice(const void* data, size_t bytes, const c10::Device& device) {
  Tensor pinned = at::empty({static_cast<int64_t>(bytes)}, at::TensorOptions(at::kByte).pinned_memory(true));
  std::memcpy(pinned.mutable_data_ptr(), data, bytes);
  return pinned.to(device, at::kByte, /*non_blocking=*/true);
}

// The sums of all blocks in their order, and the words of each tensor.
static std::tuple<std::vector<double>, Tensor> total(const Tensor& seen, const std::vector<Tensors>& tensors) {
  const Tensor here = seen.cpu();
  const auto* blocks = reinterpret_cast<const Seen*>(here.const_data_ptr());
  const auto count = static_cast<size_t>(here.numel()) / sizeof(Seen);
  std::vector<double> sums(3, 0.0);
  Tensor checksums = at::empty({static_cast<int64_t>(tensors.size())}, at::kLong);
  auto* words = checksums.mutable_data_ptr<int64_t>();
  for (size_t t = 0; t < tensors.size(); t++) {
    const size_t end = t + 1 < tensors.size() ? static_cast<size_t>(tensors[t + 1].first_block) : count;
    uint64_t word = 0;
    for (size_t b = static_cast<size_t>(tensors[t].first_block); b < end; b++) {
      sums[0] += blocks[b].before;
      sums[1] += blocks[b].after;
      sums[2] += blocks[b].norm;
      word += blocks[b].words;
    }
    words[t] = static_cast<int64_t>(word);
  }
  return {sums, checksums};
}

static Update ratesOf(double factor, double lr, double beta1, double beta2, double eps, int64_t step, double share) {
  Update a{};
  const double correction1 = 1 - std::pow(beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(beta2, static_cast<double>(step));
  a.moves = share != 0;
  a.factor = static_cast<float>(factor);
  a.step_size = static_cast<float>(lr / correction1);
  a.mean_share = static_cast<float>(1 - beta1);
  a.square_keep = static_cast<float>(beta2);
  a.square_share = static_cast<float>(1 - beta2);
  a.correction = static_cast<float>(std::sqrt(correction2));
  a.eps = static_cast<float>(eps);
  a.share = static_cast<float>(share);
  a.rest = 1 - a.share;
  return a;
}

static std::tuple<std::vector<double>, Tensor> run(
    int64_t kernel, at::TensorList weights, at::TensorList rounded, at::TensorList gradients, at::TensorList means,
    at::TensorList squares, at::TensorList references, at::TensorList rounded_references, at::ArrayRef<double> keep,
    double factor, double lr, double beta1, double beta2, double eps, int64_t step, double share) {
  TORCH_CHECK(!weights.empty(), "update_ takes at least one weight");
  TORCH_CHECK(means.size() == gradients.size() && squares.size() == gradients.size() && keep.size() == gradients.size(),
              "each gradient has two moments and a factor of its weight");
  TORCH_CHECK(rounded_references.empty() || !references.empty(), "rounded references come beside references");
  const c10::Device device = weights[0].device();
  const at::ScalarType type = weights[0].scalar_type();
  std::vector<Tensors> tensors(weights.size(), Tensors{});
  int64_t blocks = 0;
  for (size_t i = 0; i < weights.size(); i++) {
    TORCH_CHECK(weights[i].device() == device, "weights are on ", device, " and ", weights[i].device());
    tensors[i].weight = addressOf(weights[i], type, weights[i], "a weight");
    tensors[i].elements = weights[i].numel();
    tensors[i].keep = keep.empty() ? 1 : static_cast<float>(keep[i]);
    tensors[i].first_block = static_cast<int>(blocks);
    blocks += (weights[i].numel() + kElementsOfBlock - 1) / kElementsOfBlock;
  }
  each(rounded, weights, at::kBFloat16, "rounded weights", [&](size_t i, uint64_t x) { tensors[i].rounded = x; });
  each(gradients, weights, type, "gradients", [&](size_t i, uint64_t x) { tensors[i].gradient = x; });
  each(means, weights, type, "means", [&](size_t i, uint64_t x) { tensors[i].mean = x; });
  each(squares, weights, type, "squares", [&](size_t i, uint64_t x) { tensors[i].square = x; });
  const at::ScalarType kept = references.empty() ? type : references[0].scalar_type();
  each(references, weights, kept, "references", [&](size_t i, uint64_t x) { tensors[i].reference = x; });
  each(rounded_references, weights, at::kBFloat16, "rounded references",
       [&](size_t i, uint64_t x) { tensors[i].rounded_reference = x; });

  Update a = ratesOf(factor, lr, beta1, beta2, eps, step, share);
  const Tensor all = onDevice(tensors.data(), tensors.size() * sizeof(Tensors), device);
  const int64_t seen_bytes = references.empty() ? 0 : blocks * static_cast<int64_t>(sizeof(Seen));
  const Tensor seen = at::empty({seen_bytes}, at::TensorOptions(at::kByte).device(device));
  a.tensors = device::addressOf(all);
  a.seen = device::addressOf(seen);
  a.count = static_cast<int>(tensors.size());
  device::launch(kernel, device, blocks, &a);
  if (references.empty()) return {std::vector<double>(), at::empty({0}, at::kLong)};
  return total(seen, tensors);
}

static void registerOps(torch::Library& library) {
  library.def(
      "update_(int kernel, Tensor(a!)[] weights, Tensor(b!)[] rounded, Tensor[] gradients, Tensor(c!)[] means, "
      "Tensor(d!)[] squares, Tensor(e!)[] references, Tensor(f!)[] rounded_references, float[] keep, float factor, "
      "float lr, float beta1, float beta2, float eps, int step, float share) -> (float[], Tensor)");
  library.impl("update_", torch::dispatch(c10::DispatchKey::CompositeExplicitAutograd, TORCH_FN(run)));
}

}  // namespace reanchor::update
