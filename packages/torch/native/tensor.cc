// Tensors from typed arrays and back, and what can be asked of a tensor.
#include "addon.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>
#include <optional>

namespace reanchor {

static std::optional<at::ScalarType> elementType(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array: return at::kChar;
    case napi_uint8_array:
    case napi_uint8_clamped_array: return at::kByte;
    case napi_int16_array: return at::kShort;
    case napi_int32_array: return at::kInt;
    case napi_float32_array: return at::kFloat;
    case napi_float64_array: return at::kDouble;
    case napi_bigint64_array: return at::kLong;
    default: return std::nullopt;
  }
}

struct View {
  at::ScalarType type;
  size_t length;
  void* data;
};

static View readTypedArray(Call& call, napi_value value) {
  napi_typedarray_type type;
  View view;
  if (napi_get_typedarray_info(call.env, value, &type, &view.length, &view.data, nullptr, nullptr) != napi_ok) {
    throw BadArgument{"'data' must be a typed array"};
  }
  const auto element = elementType(type);
  if (!element) throw BadArgument{"typed arrays of this kind have no tensor dtype"};
  view.type = *element;
  return view;
}

// fromTypedArray(array, shape, dtype, device): a copy. One to a CUDA device goes by way of pinned memory and is not
// waited for; libtorch's allocator of such memory does not give it out again before the device has read it.
static napi_value fromTypedArray(Call& call) {
  const View view = readTypedArray(call, call.argv[0]);
  const Numbers shape = readNumbers(call.addon, call.argv[1], "shape");
  std::vector<int64_t> sizes(shape.data, shape.data + shape.size);
  int64_t count = 1;
  for (int64_t size : sizes) count *= size;
  if (count != static_cast<int64_t>(view.length)) {
    throw BadArgument{"the shape needs " + std::to_string(count) + " elements, the array has " +
                      std::to_string(view.length)};
  }
  const at::ScalarType dtype = readDType(call.env, call.argv[2], "dtype");
  const c10::Device device = readDevice(call.env, call.argv[3], "device");
  c10::NoGradGuard no_grad;
  at::Tensor source = at::from_blob(view.data, sizes, at::TensorOptions(view.type));
  if (!device.is_cuda()) {
    return makeHandle(call.addon, source.to(at::TensorOptions(dtype).device(device), false, /*copy=*/true));
  }
  at::Tensor pinned = at::empty(sizes, at::TensorOptions(dtype).pinned_memory(true));
  pinned.copy_(source);
  return makeHandle(call.addon, pinned.to(device, dtype, /*non_blocking=*/true));
}

// readInto(handle, array): the elements in row-major order, converted to the array's type.
static napi_value readInto(Call& call) {
  const at::Tensor& tensor = readTensor(call.addon, call.argv[0], "tensor");
  const View view = readTypedArray(call, call.argv[1]);
  if (tensor.numel() != static_cast<int64_t>(view.length))
    throw BadArgument{"the array has another length than the tensor"};
  if (view.length == 0) return nullptr;
  c10::NoGradGuard no_grad;
  const at::Tensor plain = tensor.detach().to(at::TensorOptions(view.type).device(at::kCPU)).contiguous();
  std::memcpy(view.data, plain.const_data_ptr(), plain.nbytes());
  return nullptr;
}

// info(handle) fills the buffer with dtype, device type, device index, number of elements, rank, sizes...
static napi_value info(Call& call) {
  const at::Tensor& tensor = readTensor(call.addon, call.argv[0], "tensor");
  double* out = call.addon.buffer;
  out[0] = static_cast<double>(tensor.scalar_type());
  out[1] = static_cast<double>(tensor.device().type());
  out[2] = tensor.device().index();
  out[3] = static_cast<double>(tensor.numel());
  out[4] = static_cast<double>(tensor.dim());
  for (int64_t i = 0; i < tensor.dim(); i++) out[5 + i] = static_cast<double>(tensor.size(i));
  return nullptr;
}

static napi_value item(Call& call) {
  const at::Tensor& tensor = readTensor(call.addon, call.argv[0], "tensor");
  const at::Scalar scalar = tensor.item();
  if (scalar.isBoolean()) return makeNumber(call.env, scalar.toBool() ? 1 : 0);
  return makeNumber(call.env, scalar.isIntegral(false) ? static_cast<double>(scalar.toLong()) : scalar.toDouble());
}

// stats() fills the buffer with live, peak, slots, bytes reported to V8, bytes of CPU tensors and their peak;
// resetPeak() starts both peaks anew.
static napi_value stats(Call& call) {
  const Handles& handles = call.addon.handles;
  double* out = call.addon.buffer;
  out[0] = static_cast<double>(handles.live);
  out[1] = static_cast<double>(handles.peak);
  out[2] = static_cast<double>(handles.slots());
  out[3] = static_cast<double>(call.addon.external_total);
  out[4] = static_cast<double>(cpuBytes());
  out[5] = static_cast<double>(cpuPeakBytes());
  return nullptr;
}

static napi_value resetPeak(Call& call) {
  call.addon.handles.peak = call.addon.handles.live;
  resetCpuPeak();
  return nullptr;
}

void defineTensor(Addon& addon, napi_value exports) {
  define(addon, exports, "fromTypedArray", fromTypedArray);
  define(addon, exports, "readInto", readInto);
  define(addon, exports, "info", info);
  define(addon, exports, "item", item);
  define(addon, exports, "stats", stats);
  define(addon, exports, "resetPeak", resetPeak);
}

}  // namespace reanchor
