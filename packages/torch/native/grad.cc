// Autograd: backward, gradients of given inputs, the .grad field and the grad mode of this thread.
#include "addon.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace reanchor {

static std::vector<at::Tensor> readOptionalTensors(Call& call, int index, const char* what) {
  if (isMissing(call.env, call.argv[index])) return {};
  return readTensors(call.addon, call.argv[index], what);
}

// backward(tensors, gradients?, retainGraph, createGraph)
static napi_value backward(Call& call) {
  const auto tensors = readTensors(call.addon, call.argv[0], "tensors");
  const auto gradients = readOptionalTensors(call, 1, "gradients");
  const bool create = readBool(call.env, call.argv[3], false);
  torch::autograd::backward(tensors, gradients, readBool(call.env, call.argv[2], create), create);
  return nullptr;
}

// grad(outputs, inputs, gradOutputs?, retainGraph, createGraph): one handle an input, 0 where no path leads to it
static napi_value grad(Call& call) {
  const auto outputs = readTensors(call.addon, call.argv[0], "outputs");
  const auto inputs = readTensors(call.addon, call.argv[1], "inputs");
  const auto gradients = readOptionalTensors(call, 2, "gradOutputs");
  const bool create = readBool(call.env, call.argv[4], false);
  auto results = torch::autograd::grad(outputs, inputs, gradients, readBool(call.env, call.argv[3], create), create,
                                       /*allow_unused=*/true);
  napi_value array;
  napi_create_array_with_length(call.env, results.size(), &array);
  for (size_t i = 0; i < results.size(); i++) {
    napi_set_element(call.env, array, i, makeHandle(call.addon, std::move(results[i])));
  }
  return array;
}

static napi_value getGrad(Call& call) {
  const at::Tensor& tensor = readTensor(call.addon, call.argv[0], "tensor");
  at::Tensor gradient = tensor.grad();
  return makeHandle(call.addon, std::move(gradient));
}

static napi_value setGrad(Call& call) {
  const at::Tensor& tensor = readTensor(call.addon, call.argv[0], "tensor");
  if (isMissing(call.env, call.argv[1])) {
    tensor.mutable_grad() = at::Tensor();
    return nullptr;
  }
  const at::Tensor& gradient = readTensor(call.addon, call.argv[1], "grad");
  if (gradient.sizes() != tensor.sizes() || gradient.scalar_type() != tensor.scalar_type() ||
      gradient.device() != tensor.device()) {
    throw BadArgument{"a gradient must have the tensor's shape, dtype and device: " + describe(tensor) + ", got " +
                      describe(gradient)};
  }
  tensor.mutable_grad() = gradient;
  return nullptr;
}

static napi_value boolean(Call& call, bool value) {
  napi_value result;
  napi_get_boolean(call.env, value, &result);
  return result;
}

static napi_value requiresGrad(Call& call) {
  return boolean(call, readTensor(call.addon, call.argv[0], "tensor").requires_grad());
}

static napi_value setRequiresGrad(Call& call) {
  const at::Tensor& tensor = readTensor(call.addon, call.argv[0], "tensor");
  const bool value = readBool(call.env, call.argv[1], true);
  if (!value && !tensor.is_leaf()) {
    throw BadArgument{"requiresGrad can be changed on leaf tensors only; detach() this one"};
  }
  tensor.requires_grad_(value);
  return nullptr;
}

static napi_value isGradEnabled(Call& call) {
  return boolean(call, c10::GradMode::is_enabled());
}

// Returns what it was before.
static napi_value setGradEnabled(Call& call) {
  const bool before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(readBool(call.env, call.argv[0], true));
  return boolean(call, before);
}

void defineGrad(Addon& addon, napi_value exports) {
  define(addon, exports, "backward", backward);
  define(addon, exports, "grad", grad);
  define(addon, exports, "getGrad", getGrad);
  define(addon, exports, "setGrad", setGrad);
  define(addon, exports, "requiresGrad", requiresGrad);
  define(addon, exports, "setRequiresGrad", setRequiresGrad);
  define(addon, exports, "isGradEnabled", isGradEnabled);
  define(addon, exports, "setGradEnabled", setGradEnabled);
}

}  // namespace reanchor
