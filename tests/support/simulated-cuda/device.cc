// A CUDA device that is not there, for a build of libtorch without CUDA: tests run everything that a GPU would run, on
// one core of the CPU, and find tensors that were left on the wrong device.
//
// Memory is the host's, but every address has kTag added, which no program can read: code that reaches for the data of
// a CUDA tensor without a kernel crashes, as it would on a GPU. Kernels are the CPU's, behind a fallback that refuses
// operators whose tensors are on two devices. Nothing here says how fast a GPU is or how it rounds. Kernels are done
// when they return. Copies on a stream of their own are as late as they may be (copies.h).
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_copy_from_and_resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/is_set_to_native.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <mutex>
#include <set>
#include <utility>

#include "attention.h"
#include "copies.h"
#include "libraries.h"

namespace simulated {

using at::Tensor;

constexpr auto kCuda = c10::DeviceType::CUDA;
constexpr uintptr_t kTag = uintptr_t{1} << 62;
static const c10::Device kDevice(kCuda, 0);

static void* untagged(const void* data) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(data) & ~kTag);
}

class Memory : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    if (bytes == 0) return {nullptr, nullptr, &release, kDevice};
    auto* header = static_cast<size_t*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
    TORCH_CHECK(header != nullptr, "can't allocate ", bytes, " bytes");
    *header = bytes;
    std::lock_guard<std::mutex> lock(mutex());
    stats().allocated_bytes[0].increase(bytes);
    stats().reserved_bytes[0].increase(bytes);
    void* data = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(header) + 64 + kTag);
    return {data, data, &release, kDevice};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    std::memcpy(untagged(to), untagged(from), count);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override { return stats(); }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override { stats().allocated_bytes[0].reset_peak(); }
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex) override { return {size_t{1} << 30, size_t{1} << 31}; }

 private:
  static std::mutex& mutex() {
    static auto* mutex = new std::mutex();
    return *mutex;
  }
  static c10::CachingDeviceAllocator::DeviceStats& stats() {
    static auto* stats = new c10::CachingDeviceAllocator::DeviceStats();
    return *stats;
  }
  static void release(void* data) {
    if (data == nullptr) return;
    auto* header = reinterpret_cast<size_t*>(reinterpret_cast<uintptr_t>(untagged(data)) - 64);
    std::lock_guard<std::mutex> lock(mutex());
    stats().allocated_bytes[0].decrease(*header);
    stats().reserved_bytes[0].decrease(*header);
    std::free(header);
  }
};

// Pinned memory is ordinary memory that knows its addresses.
class PinnedMemory : public c10::Allocator {
 public:
  static std::set<const void*>& blocks() {
    static auto* blocks = new std::set<const void*>();
    return *blocks;
  }
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : std::malloc(bytes);
    if (data != nullptr) {
      std::memset(data, 0xff, bytes);  // NaN, until something is written
      blocks().insert(data);
    }
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t count) const override { std::memcpy(to, from, count); }

 private:
  static void release(void* data) {
    blocks().erase(data);
    std::free(data);
  }
};

static Memory* memory() {
  static auto* memory = new Memory();
  return memory;
}

// The same memory as a tensor of the CPU.
static Tensor onCpu(const Tensor& x) {
  if (!x.is_cuda()) return x;
  return at::from_blob(untagged(x.data_ptr()), x.sizes(), x.strides(), x.options().device(at::kCPU));
}

static Copies& copies() {
  static auto* copies = new Copies(onCpu);
  return *copies;
}

struct Guard final : c10::impl::NoOpDeviceGuardImpl<kCuda> {
  c10::Device exchangeDevice(c10::Device) const override { return kDevice; }
  c10::Device getDevice() const override { return kDevice; }
  c10::Stream getStream(c10::Device) const noexcept override { return current(); }
  c10::Stream getDefaultStream(c10::Device) const override { return main(); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override {
    return c10::Stream(c10::Stream::UNSAFE, kDevice, 1);
  }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return std::exchange(current(), stream); }
  void synchronizeDevice(const c10::DeviceIndex) const override { copies().finishAll(); }
  void record(void** event, const c10::Stream& stream, const c10::DeviceIndex, const c10::EventFlag) const override {
    if (*event == nullptr) *event = new size_t();
    *static_cast<size_t*>(*event) = stream == main() ? 0 : copies().last();
  }
  void block(void* event, const c10::Stream& stream) const override {
    if (event != nullptr && stream == main()) copies().run(*static_cast<size_t*>(event));
  }
  void synchronizeEvent(void* event) const override {
    if (event != nullptr) copies().finish(*static_cast<size_t*>(event));
  }
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override { delete static_cast<size_t*>(event); }

  static bool isBeside() { return current() != main(); }

 private:
  static c10::Stream main() { return c10::Stream(c10::Stream::DEFAULT, kDevice); }
  static c10::Stream& current() {
    static c10::Stream stream = main();
    return stream;
  }
};

struct Hooks : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    static auto* generator = new at::Generator(at::detail::createCPUGenerator());
    return *generator;
  }
  bool isPinnedPtr(const void* data) const override { return PinnedMemory::blocks().count(data) > 0; }
  c10::Allocator* getPinnedMemoryAllocator() const override {
    static auto* pinned = new PinnedMemory();
    return pinned;
  }
  std::string showConfig() const override { return "a simulated CUDA device\n"; }
};

static Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                    std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);
  return at::detail::empty_generic(size, memory(), keys, c10::dtype_or_default(dtype), format);
}

static Tensor emptyStrided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                           std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);
  return at::detail::empty_strided_generic(size, stride, memory(), keys, c10::dtype_or_default(dtype));
}

static const Tensor& resize(const Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(size);
  const size_t bytes = (self.numel() + self.storage_offset()) * self.itemsize();
  const auto& storage = self.storage();
  if (storage.nbytes() < bytes) {
    storage.set_data_ptr_noswap(memory()->allocate(bytes));
    storage.set_nbytes(bytes);
  }
  return self;
}

static Tensor& copy(Tensor& self, const Tensor& from, bool non_blocking) {
  if (Guard::isBeside()) {
    TORCH_CHECK(non_blocking, "a copy beside the device's work that is waited for");
    copies().add(self, from);
    return self;
  }
  onCpu(self).copy_(onCpu(from));
  return self;
}

static Tensor copyFromAndResize(const Tensor& self, const Tensor& to) {
  if (self.sizes() != to.sizes()) to.resize_(self.sizes());
  onCpu(to).copy_(onCpu(self));
  return to;
}

static Tensor& mmDTypeOut(const Tensor& a, const Tensor& b, at::ScalarType type, Tensor& out) {
  TORCH_CHECK(a.is_cuda() && b.is_cuda() && out.is_cuda(), "mm needs all tensors on one device");
  TORCH_CHECK(out.scalar_type() == type, "mm: out is ", out.scalar_type(), ", not ", type);
  onCpu(out).copy_(at::mm(onCpu(a).to(type), onCpu(b).to(type)));
  return out;
}

static Tensor mmDType(const Tensor& a, const Tensor& b, at::ScalarType type) {
  Tensor out = empty({a.size(0), b.size(1)}, type, {}, {}, {}, {});
  return mmDTypeOut(a, b, type, out);
}

static at::Scalar item(const Tensor& self) { return onCpu(self).item(); }

// The plain composition: a GPU would choose among kernels that do not exist here.
static int64_t sdpChoice(const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&, double, bool,
                         std::optional<double>, bool) {
  return 0;
}

static std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> flashForward(
    const Tensor& q, const Tensor& k, const Tensor& v, const std::optional<Tensor>& query_ends,
    const std::optional<Tensor>& key_ends, int64_t max_q, int64_t max_k, double dropout, bool causal, bool,
    std::optional<double> scale, std::optional<int64_t>, std::optional<int64_t>, const std::optional<Tensor>&,
    const std::optional<Tensor>&, const std::optional<Tensor>&, std::optional<int64_t>) {
  TORCH_CHECK(query_ends && key_ends && dropout == 0 && causal && !scale, "only what reanchor calls is simulated");
  for (const Tensor& x : {q, k, v, *query_ends, *key_ends}) TORCH_CHECK(x.is_cuda(), "a tensor is on ", x.device());
  const Sequences sequences(onCpu(*query_ends), onCpu(*key_ends), max_q, max_k);
  const auto [out, logsumexp] = attention(onCpu(q), onCpu(k), onCpu(v), sequences);
  const Tensor state = empty({2}, at::kLong, {}, {}, {}, {});
  return {out.to(kDevice), logsumexp.to(kDevice), state, empty({}, at::kLong, {}, {}, {}, {}), Tensor()};
}

static std::tuple<Tensor, Tensor, Tensor> flashBackward(
    const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out, const Tensor& logsumexp,
    const Tensor& query_ends, const Tensor& key_ends, int64_t max_q, int64_t max_k, double, bool causal, const Tensor&,
    const Tensor&, std::optional<double>, std::optional<int64_t>, std::optional<int64_t>) {
  TORCH_CHECK(causal, "only what reanchor calls is simulated");
  for (const Tensor& x : {grad, q, k, v, out, logsumexp, query_ends, key_ends})
    TORCH_CHECK(x.is_cuda(), "a tensor is on ", x.device());
  const Sequences sequences(onCpu(query_ends), onCpu(key_ends), max_q, max_k);
  const auto [dq, dk, dv] = attentionBackward(onCpu(grad), onCpu(q), onCpu(k), onCpu(v), onCpu(out), onCpu(logsumexp),
                                              sequences);
  return {dq.to(kDevice), dk.to(kDevice), dv.to(kDevice)};
}

// As libtorch's own kernels: a number in a tensor of the CPU may come along, anything else must be on one device; in
// lists there are no exceptions.
static void requireOneDevice(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
  const auto refuse = [&](const Tensor& x) {
    TORCH_CHECK(!x.defined() || x.is_cuda(), "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and ",
                x.device(), "! (", op.schema().name(), ", shape ", x.sizes(), ")");
  };
  const size_t count = op.schema().arguments().size();
  for (const at::IValue& value : torch::jit::last(stack, count)) {
    if (value.isTensor()) {
      const Tensor& x = value.toTensor();
      if (x.defined() && !(x.is_cpu() && x.dim() == 0)) refuse(x);
    } else if (value.isTensorList()) {
      for (const Tensor& x : value.toTensorVector()) refuse(x);
    }
  }
}

static void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  requireOneDevice(op, *stack);
  at::native::cpu_fallback(op, stack);
}

static const bool registered = [] {
  c10::SetAllocator(kCuda, memory(), 255);
  c10::impl::registerDeviceGuard(kCuda, new Guard());
  return true;
}();

}  // namespace simulated

namespace at {
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, simulated::Hooks)
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", TORCH_FN(simulated::empty));
  library.impl("empty_strided", TORCH_FN(simulated::emptyStrided));
  library.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  library.impl("view", TORCH_FN(at::native::view));
  library.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  library.impl("is_set_to", TORCH_FN(at::native::is_set_to));
  library.impl("resize_", TORCH_FN(simulated::resize));
  library.impl("copy_", TORCH_FN(simulated::copy));
  library.impl("_copy_from_and_resize", TORCH_FN(simulated::copyFromAndResize));
  library.impl("_local_scalar_dense", TORCH_FN(simulated::item));
  library.impl("mm.dtype", TORCH_FN(simulated::mmDType));
  library.impl("mm.dtype_out", TORCH_FN(simulated::mmDTypeOut));
  library.impl("_fused_sdp_choice", TORCH_FN(simulated::sdpChoice));
  library.impl("_flash_attention_forward", TORCH_FN(simulated::flashForward));
  library.impl("_flash_attention_backward", TORCH_FN(simulated::flashBackward));
}

TORCH_LIBRARY_IMPL(_, CUDA, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&simulated::fallback>()); }

// Node asks every addon for this.
extern "C" __attribute__((visibility("default"))) void* napi_register_module_v1(void*, void* exports) { return exports; }
