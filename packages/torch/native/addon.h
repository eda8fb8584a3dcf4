// What the native files share: the handle table, the per-environment state and the error type.
//
// A tensor is known to JavaScript by a number, generation * 2^26 + slot. Disposing of a tensor raises its slot's
// generation, so a stale number is noticed instead of reaching somebody else's tensor.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <node_api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace reanchor {

constexpr uint32_t kSlotBits = 26;
constexpr uint32_t kMaxSlots = 1u << kSlotBits;
constexpr uint32_t kMaxGeneration = (1u << 27) - 1;  // handles stay below 2^53
constexpr uint32_t kNone = UINT32_MAX;

// Lists of numbers and handles travel in a buffer shared with JavaScript, because reading one element of a JavaScript
// array costs as much as a small call. A list argument is then the number kListBase + offset * kListSpan + length.
constexpr double kListBase = 70368744177664.0;  // 2^46, above every size and below every confusion with one
constexpr uint64_t kListSpan = 8192;
constexpr size_t kBufferLength = 4096;

struct Slot {
  at::Tensor tensor;
  uint32_t generation = 1;
  uint32_t next = kNone;      // next free slot
  size_t external_bytes = 0;  // reported to V8 for this handle
};

// Thrown for mistakes found before libtorch sees the call. `disposed` selects the error class.
struct BadArgument {
  std::string words;
  bool disposed = false;
};

class Handles {
 public:
  double put(at::Tensor&& tensor);
  // The tensor of a handle; throws BadArgument naming `what` for a stale or malformed handle.
  const at::Tensor& get(double handle, const char* what) const;
  // Frees a handle; stale ones are ignored, so that a finalizer may come late. Returns the bytes that V8 was told of.
  size_t drop(double handle);
  const at::Tensor* find(double handle) const;
  Slot* slot(double handle);

  size_t live = 0;
  size_t peak = 0;
  size_t slots() const { return slots_.size(); }

 private:
  std::vector<Slot> slots_;
  uint32_t free_ = kNone;
};

enum class Kind : uint8_t {
  Tensor,
  TensorList,
  OptionalTensorList,
  Scalar,
  ScalarList,
  Int,
  IntList,
  Float,
  FloatList,
  Bool,
  BoolList,
  DType,
  Device,
  Str,
  Any,
  Other,
};

struct Argument {
  Kind kind;
  bool optional;
  bool has_default;
  int64_t repeat;  // N of int[N]: one number stands for N of them
  std::string name;
  std::string type;
  at::IValue default_value;
  // The last short list seen here. Sizes and dimensions repeat from step to step, and reusing the list spares two
  // allocations.
  std::vector<double> cached_numbers;
  at::IValue cached_list;
};

struct Addon;

struct Op {
  Addon* addon;
  c10::OperatorHandle handle;
  std::string name;
  std::vector<Argument> arguments;
  std::vector<int> writes;  // per return value: index of the argument that it aliases after writing, or -1
};

struct Entry;
struct HostCopy;

struct Addon {
  napi_env env = nullptr;
  Handles handles;
  std::vector<std::unique_ptr<Op>> ops;  // append-only: JavaScript functions hold the addresses
  std::vector<std::unique_ptr<Entry>> entries;
  torch::jit::Stack stack;
  double* buffer = nullptr;
  napi_ref buffer_ref = nullptr;
  napi_ref error_factory = nullptr;
  std::vector<double> scratch;
  int64_t external_pending = 0;
  int64_t external_total = 0;
  std::unordered_map<double, std::shared_ptr<HostCopy>> copies;  // that are under way
  double next_copy = 1;
};

struct Numbers {
  const double* data;
  size_t size;
  bool single;  // a bare number was given
};

// convert.cc
at::IValue toIValue(Addon& addon, Argument& argument, napi_value value);
napi_value fromIValue(Addon& addon, at::IValue&& value);
Numbers readNumbers(Addon& addon, napi_value value, const char* what);
std::vector<at::Tensor> readTensors(Addon& addon, napi_value value, const char* what);
const at::Tensor& readTensor(Addon& addon, napi_value value, const char* what);
double readNumber(napi_env env, napi_value value, const char* what);
bool readBool(napi_env env, napi_value value, bool fallback);
std::string readString(napi_env env, napi_value value, const char* what);
bool isMissing(napi_env env, napi_value value);
c10::Device readDevice(napi_env env, napi_value value, const char* what);
at::ScalarType readDType(napi_env env, napi_value value, const char* what);
Kind kindOf(const c10::Argument& argument, bool& optional);
std::string describe(const at::Tensor& tensor);

// core.cc
napi_value makeNumber(napi_env env, double value);
napi_value makeString(napi_env env, const std::string& text);
napi_value makeHandle(Addon& addon, at::Tensor&& tensor);
napi_value undefined(napi_env env);
void reportExternal(Addon& addon, int64_t bytes);
// Throws into JavaScript the exception that is being handled. `shapes` describes the arguments.
void throwCurrent(Addon& addon, const std::string& op, const std::string& shapes);

struct Call {
  Addon& addon;
  napi_env env;
  size_t argc;
  const napi_value* argv;  // eight values, undefined where fewer were given
};

// Numbers below 2^-126 (float32) take a CPU a hundred times as long, and a gradient of saturated probabilities is full
// of them. While libtorch computes they count as 0; JavaScript, on the same thread, goes on with all numbers that it
// has. Threads that libtorch starts inherit what the one that starts them has.
class WithoutSubnormals {
 public:
  WithoutSubnormals();
  ~WithoutSubnormals();
  WithoutSubnormals(const WithoutSubnormals&) = delete;
  WithoutSubnormals& operator=(const WithoutSubnormals&) = delete;

 private:
  uint64_t before_;
};

using Body = napi_value (*)(Call&);

struct Entry {
  Addon* addon;
  const char* name;
  Body body;
};

// Adds a native function to the addon's exports. Its C++ exceptions become JavaScript ones under this name.
void define(Addon& addon, napi_value exports, const char* name, Body body);

// distributed.cc, device_kernels.cc, host_copies.cc, tensor.cc, grad.cc, runtime.cc, profile.cc, ops_logprob.cc
void defineDistributed(Addon& addon, napi_value exports);
void defineDeviceKernels(Addon& addon, napi_value exports);
void defineHostCopies(Addon& addon, napi_value exports);
void defineTensor(Addon& addon, napi_value exports);
void defineGrad(Addon& addon, napi_value exports);
void defineRuntime(Addon& addon, napi_value exports);
void defineProfile(Addon& addon, napi_value exports);
void registerCustomOps();
void useCpuAllocator();
int64_t cpuBytes();
int64_t cpuPeakBytes();
void resetCpuPeak();

}  // namespace reanchor
