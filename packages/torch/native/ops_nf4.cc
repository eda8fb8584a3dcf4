// Weights in NF4, the 4-bit NormalFloat of QLoRA (Dettmers et al. 2023, arXiv 2305.14314), in bitsandbytes' layout:
//
//   W[i] = table[code[i]] absmax[i / block], in float32, then rounded to `dtype`; i counts the values row after row.
//
// Two codes a byte, the first in the high half; the last block may be short, and the last half byte unused. `absmax` is
// float32 [blocks], or three tensors where it is quantised too: uint8 codes [blocks], map [256] and nested [groups], of
// which absmax[b] = map[code[b]] nested[b / nested_block] + offset.
//
// reanchor::nf4_absmax(Tensor codes, Tensor map, Tensor nested, float offset, int nested_block) -> Tensor
// reanchor::nf4_dequantize(Tensor packed, Tensor[] absmax, float offset, int nested_block, int[] shape, int block,
//                          ScalarType dtype) -> Tensor
// reanchor::nf4_linear(Tensor x, Tensor? bias, [as nf4_dequantize]) -> Tensor
// reanchor::nf4_quantize(Tensor values, int block) -> (Tensor packed, Tensor absmax)      float32 on the CPU
//
// nf4_linear is x W^T + bias in x's dtype. Backward has dx = g W and db = sum of g, for which W is made anew: between
// the two passes only the packed weight is held. W has no gradient.
#include "addon.h"
#include "kernels.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <bit>
#include <cstring>

namespace reanchor::nf4 {

using at::Tensor;

// Quantiles of the normal distribution, scaled to [-1, 1], with an exact 0 (the paper's appendix E).
constexpr std::array<float, 16> kTable = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

// The two values of every byte, 64 bits that are only moved.
constexpr std::array<double, 256> makePairs() {
  std::array<double, 256> pairs{};
  for (size_t byte = 0; byte < pairs.size(); byte++) {
    pairs[byte] = std::bit_cast<double>(std::array<float, 2>{kTable[byte >> 4], kTable[byte & 15]});
  }
  return pairs;
}
constexpr std::array<double, 256> kPairs = makePairs();

struct Weight {
  Tensor packed;
  std::vector<Tensor> absmax;
  double offset;
  int64_t nested_block;
  std::vector<int64_t> shape;
  int64_t block;
  at::ScalarType dtype;

  at::IntArrayRef sizes() const { return shape; }
  int64_t numel() const { return c10::multiply_integers(shape); }
  int64_t blocks() const { return (numel() + block - 1) / block; }
};

static Tensor wideAbsmax(const Tensor& codes, const Tensor& map, const Tensor& nested, double offset, int64_t block) {
  TORCH_CHECK(block > 0, "the nested block size must be above 0; got ", block);
  const int64_t blocks = codes.numel(), groups = (blocks + block - 1) / block;
  TORCH_CHECK(codes.scalar_type() == at::kByte && map.scalar_type() == at::kFloat && map.numel() == 256 &&
                  nested.scalar_type() == at::kFloat && nested.numel() == groups,
              "quantised absmax is uint8 codes, a float32 map of 256 values and, for ", blocks, " codes in blocks of ",
              block, ", ", groups, " float32 nested absmax; got ", codes.scalar_type(), " codes, a ", map.scalar_type(),
              " map ", map.sizes(), " and ", nested.scalar_type(), " nested absmax ", nested.sizes());
  const Tensor scales = nested.reshape(-1).repeat_interleave(std::min(block, blocks)).narrow(0, 0, blocks);
  return map.reshape(-1).index_select(0, codes.reshape(-1).to(at::kInt)).mul_(scales).add_(offset);
}

static void check(const Weight& w) {
  TORCH_CHECK(w.block > 0 && w.block % 2 == 0, "the block size must be even and above 0; got ", w.block);
  TORCH_CHECK(at::isFloatingType(w.dtype), "values are rounded to a floating dtype; got ", w.dtype);
  TORCH_CHECK(w.packed.scalar_type() == at::kByte && w.packed.numel() == (w.numel() + 1) / 2,
              "packed holds two values a byte, for shape ", w.sizes(), " uint8 of ", (w.numel() + 1) / 2,
              " elements; got ", w.packed.scalar_type(), " ", w.packed.sizes());
  TORCH_CHECK(w.absmax.size() == 3 || (w.absmax.size() == 1 && w.absmax[0].scalar_type() == at::kFloat),
              "absmax is float32, or codes with their map and nested absmax; got ", w.absmax.size(), " of ",
              w.absmax.empty() ? at::ScalarType::Undefined : w.absmax[0].scalar_type());
  TORCH_CHECK(w.absmax[0].numel() == w.blocks(), "shape ", w.sizes(), " has ", w.blocks(), " blocks of ", w.block,
              " values, absmax ", w.absmax[0].numel(), " elements");
  for (const Tensor& part : w.absmax) {
    TORCH_CHECK(part.device() == w.packed.device(), "packed and absmax must be on one device; got ", w.packed.device(),
                " and ", part.device());
  }
}

// ---- values, by the kernel of the CPU or by libtorch's operators

typedef double PairLane __attribute__((vector_size(32)));
typedef uint32_t BitLane __attribute__((vector_size(32)));

// The table's values of the eight codes in four bytes.
REANCHOR_INLINE Lane lookUp(const uint8_t* bytes) {
  return (Lane)PairLane{kPairs[bytes[0]], kPairs[bytes[1]], kPairs[bytes[2]], kPairs[bytes[3]]};
}

// The bits of lanes rounded to bfloat16, halves to even, in the upper half of each.
REANCHOR_INLINE BitLane roundedBits(const Lane& x) {
  const BitLane bits = (BitLane)x;
  const BitLane rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  return (x == x ? rounded : BitLane{} + 0x7fc00000u) & 0xffff0000u;
}

struct ToFloat {
  typedef float Value;
  static REANCHOR_INLINE void put(float* to, const Lane& x) { store(to, x); }
};

struct ToRoundedFloat {
  typedef float Value;
  static REANCHOR_INLINE void put(float* to, const Lane& x) { store(to, (Lane)roundedBits(x)); }
};

struct ToBFloat16 {
  typedef uint16_t Value;
  static REANCHOR_INLINE void put(uint16_t* to, const Lane& x) {
    *reinterpret_cast<HalfLane*>(to) = __builtin_convertvector(roundedBits(x) >> 16, HalfLane);
  }
};

struct Job {
  const uint8_t* packed;
  const float* absmax;
  void* values;
  int64_t numel, block;
};

template <typename To>
REANCHOR_INLINE void blocks(const Job& job, int64_t first, int64_t end) {
  for (int64_t b = first; b < end; b++) {
    const int64_t start = b * job.block, length = std::min(job.block, job.numel - start);
    const uint8_t* bytes = job.packed + start / 2;
    auto* to = static_cast<typename To::Value*>(job.values) + start;
    const Lane scale = Lane{} + job.absmax[b];
    int64_t i = 0;
    for (; i + kLane <= length; i += kLane) To::put(to + i, lookUp(bytes + i / 2) * scale);
    if (i == length) continue;
    uint8_t last_bytes[kLane / 2] = {};
    typename To::Value last[kLane];
    std::copy(bytes + i / 2, bytes + (length + 1) / 2, last_bytes);
    To::put(last, lookUp(last_bytes) * scale);
    std::copy(last, last + (length - i), to + i);
  }
}
template <typename To>
REANCHOR_WIDE static void blocksWide(const Job& job, int64_t first, int64_t end) { blocks<To>(job, first, end); }
template <typename To>
static void blocksAny(const Job& job, int64_t first, int64_t end) { blocks<To>(job, first, end); }

template <typename To>
static void runKernel(const Job& job, int64_t count) {
  const auto run = isWide() ? blocksWide<To> : blocksAny<To>;
  parallel(count, job.numel, [&](int64_t first, int64_t end) { run(job, first, end); });
}

static bool hasKernel(const Weight& w, at::ScalarType type) {
  const auto isKnown = [](at::ScalarType t) { return t == at::kFloat || t == at::kBFloat16; };
  return w.packed.is_cpu() && isKnown(w.dtype) && isKnown(type);
}

static Tensor composed(const Weight& w, const Tensor& absmax) {
  const int64_t n = w.numel(), whole = n / w.block, rest = n % w.block;
  const Tensor pairs = at::from_blob(const_cast<double*>(kPairs.data()), {256, 2}, at::kFloat).to(w.packed.device());
  Tensor values = at::embedding(pairs, w.packed.reshape(-1).to(at::kInt)).view(-1).narrow(0, 0, n);
  values.narrow(0, 0, n - rest).view({whole, w.block}).mul_(absmax.narrow(0, 0, whole).unsqueeze(1));
  if (rest > 0) values.narrow(0, n - rest, rest).mul_(absmax.narrow(0, whole, 1));
  return values.to(w.dtype).view(w.shape);
}

// W, rounded to its dtype and then given in `type`.
static Tensor dense(const Weight& w, at::ScalarType type) {
  check(w);
  if (w.packed.is_meta()) return at::empty(w.shape, w.packed.options().dtype(type));
  const Tensor absmax = w.absmax.size() == 1
                            ? w.absmax[0].reshape(-1).contiguous()
                            : wideAbsmax(w.absmax[0], w.absmax[1], w.absmax[2], w.offset, w.nested_block);
  if (!hasKernel(w, type)) return composed(w, absmax).to(type);
  const Tensor packed = w.packed.contiguous();
  Tensor values = at::empty(w.shape, packed.options().dtype(type));
  const Job job{packed.const_data_ptr<uint8_t>(), absmax.const_data_ptr<float>(), values.mutable_data_ptr(), w.numel(),
                w.block};
  if (type == at::kBFloat16) {
    runKernel<ToBFloat16>(job, w.blocks());
  } else if (w.dtype == at::kBFloat16) {
    runKernel<ToRoundedFloat>(job, w.blocks());
  } else {
    runKernel<ToFloat>(job, w.blocks());
  }
  return values;
}

// ---- codes

// Where the nearest of two neighbouring values changes.
constexpr std::array<float, 15> makeMidpoints() {
  std::array<float, 15> midpoints{};
  for (size_t i = 0; i < midpoints.size(); i++) midpoints[i] = (kTable[i] + kTable[i + 1]) / 2;
  return midpoints;
}
constexpr std::array<float, 15> kMidpoints = makeMidpoints();

struct QuantizeJob {
  const float* values;
  uint8_t* packed;
  float* absmax;
  int64_t numel, block;
};

// The number of midpoints below each of eight values: the code of the nearest, the lower of two.
REANCHOR_INLINE IntLane codesOf(const Lane& x) {
  IntLane codes = {};
  for (const float midpoint : kMidpoints) codes -= (IntLane)(x > Lane{} + midpoint);
  return codes;
}

REANCHOR_INLINE void quantizeBlocks(const QuantizeJob& job, int64_t first, int64_t end) {
  for (int64_t b = first; b < end; b++) {
    const int64_t start = b * job.block, length = std::min(job.block, job.numel - start);
    const float* x = job.values + start;
    float most = 0;
    for (int64_t i = 0; i < length; i++) {
      const float size = std::abs(x[i]);
      // NaN stays.
      most = size > most || size != size ? size : most;
    }
    job.absmax[b] = most;
    const float scale = 1 / std::max(most, std::numeric_limits<float>::min());
    uint8_t* bytes = job.packed + start / 2;
    for (int64_t i = 0; i < length; i += kLane) {
      float part[kLane] = {};
      const int64_t count = std::min(kLane, length - i);
      std::copy(x + i, x + i + count, part);
      Lane scaled = load(part) * scale;
      scaled = scaled > 1.0f ? Lane{} + 1.0f : scaled;
      scaled = scaled < -1.0f ? Lane{} - 1.0f : scaled;
      IntLane codes = codesOf(scaled);
      for (int64_t j = 0; j < count; j += 2) {
        // What an odd weight lacks is 0, of code 7.
        const int low = j + 1 < count ? codes[j + 1] : 7;
        bytes[(i + j) / 2] = static_cast<uint8_t>(codes[j] * 16 + low);
      }
    }
  }
}
REANCHOR_WIDE static void quantizeWide(const QuantizeJob& job, int64_t first, int64_t end) {
  quantizeBlocks(job, first, end);
}
static void quantizeAny(const QuantizeJob& job, int64_t first, int64_t end) { quantizeBlocks(job, first, end); }

static std::tuple<Tensor, Tensor> quantize(const Tensor& values, int64_t block) {
  TORCH_CHECK(values.is_cpu() && values.scalar_type() == at::kFloat && values.is_contiguous(),
              "values to be quantised are contiguous float32 on the CPU; got ", values.scalar_type(), " on ",
              values.device());
  TORCH_CHECK(block > 0 && block % 2 == 0, "the block size must be even and above 0; got ", block);
  const int64_t n = values.numel(), count = (n + block - 1) / block;
  Tensor packed = at::empty({(n + 1) / 2, 1}, values.options().dtype(at::kByte));
  Tensor absmax = at::empty({count}, values.options());
  const QuantizeJob job{values.const_data_ptr<float>(), packed.mutable_data_ptr<uint8_t>(),
                        absmax.mutable_data_ptr<float>(), n, block};
  const auto run = isWide() ? quantizeWide : quantizeAny;
  parallel(count, n, [&](int64_t first, int64_t end) { run(job, first, end); });
  return {packed, absmax};
}

// ---- linear

static Tensor product(const Tensor& x, const std::optional<Tensor>& bias, const Weight& w) {
  TORCH_CHECK(w.shape.size() == 2 && x.dim() > 0 && x.size(-1) == w.shape[1],
              "x [..., I] and the weight [O, I] have shapes ", x.sizes(), " and ", w.sizes());
  TORCH_CHECK(at::isFloatingType(x.scalar_type()), "x must have a floating dtype; got ", x.scalar_type());
  return at::linear(x, dense(w, x.scalar_type()), bias);
}

struct Linear : torch::autograd::Function<Linear> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const std::optional<Tensor>& bias,
                        const Weight& w) {
    at::AutoDispatchBelowADInplaceOrView guard;
    std::vector<Tensor> saved = w.absmax;
    saved.push_back(w.packed);
    context->save_for_backward(std::move(saved));
    context->saved_data["shape"] = w.shape;
    context->saved_data["block"] = w.block;
    context->saved_data["nested_block"] = w.nested_block;
    context->saved_data["offset"] = w.offset;
    context->saved_data["dtype"] = static_cast<int64_t>(w.dtype);
    context->saved_data["has_bias"] = bias.has_value();
    return product(x, bias, w);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "nf4_linear can be differentiated once only (createGraph is set)");
    auto& data = context->saved_data;
    std::vector<Tensor> saved = context->get_saved_variables();
    const Tensor packed = saved.back();
    saved.pop_back();
    const auto dtype = static_cast<at::ScalarType>(data["dtype"].toInt());
    const Weight w{packed, saved, data["offset"].toDouble(), data["nested_block"].toInt(), data["shape"].toIntVector(),
                   data["block"].toInt(), dtype};
    at::AutoDispatchBelowADInplaceOrView guard;
    const Tensor& g = grads[0];
    torch::autograd::variable_list out(3);
    if (context->needs_input_grad(0)) out[0] = g.matmul(dense(w, g.scalar_type()));
    if (data["has_bias"].toBool() && context->needs_input_grad(1)) out[1] = g.reshape({-1, g.size(-1)}).sum(0);
    return out;
  }
};

// ---- operators

static Tensor linearWithGrad(const Tensor& x, const std::optional<Tensor>& bias, const Tensor& packed,
                             at::TensorList absmax, double offset, int64_t nested_block, at::IntArrayRef shape,
                             int64_t block, at::ScalarType dtype) {
  return Linear::apply(x, bias, Weight{packed, absmax.vec(), offset, nested_block, shape.vec(), block, dtype});
}

static Tensor linearWithoutGrad(const Tensor& x, const std::optional<Tensor>& bias, const Tensor& packed,
                                at::TensorList absmax, double offset, int64_t nested_block, at::IntArrayRef shape,
                                int64_t block, at::ScalarType dtype) {
  return product(x, bias, Weight{packed, absmax.vec(), offset, nested_block, shape.vec(), block, dtype});
}

static Tensor dequantize(const Tensor& packed, at::TensorList absmax, double offset, int64_t nested_block,
                         at::IntArrayRef shape, int64_t block, at::ScalarType dtype) {
  return dense(Weight{packed, absmax.vec(), offset, nested_block, shape.vec(), block, dtype}, dtype);
}

static void registerOps(torch::Library& library) {
  const auto any = c10::DispatchKey::CompositeExplicitAutograd;
  const std::string weight =
      "Tensor packed, Tensor[] absmax, float offset, int nested_block, int[] shape, int block, ScalarType dtype";
  library.def("nf4_absmax(Tensor codes, Tensor map, Tensor nested, float offset, int nested_block) -> Tensor");
  library.impl("nf4_absmax", torch::dispatch(any, TORCH_FN(wideAbsmax)));
  library.def(("nf4_dequantize(" + weight + ") -> Tensor").c_str());
  library.impl("nf4_dequantize", torch::dispatch(any, TORCH_FN(dequantize)));
  library.def("nf4_quantize(Tensor values, int block) -> (Tensor, Tensor)");
  library.impl("nf4_quantize", torch::dispatch(any, TORCH_FN(quantize)));
  library.def(("nf4_linear(Tensor x, Tensor? bias, " + weight + ") -> Tensor").c_str());
  library.impl("nf4_linear", torch::dispatch(any, TORCH_FN(linearWithoutGrad)));
  library.impl("nf4_linear", torch::dispatch(c10::DispatchKey::Autograd, TORCH_FN(linearWithGrad)));
}

}  // namespace reanchor::nf4
