// libtorch as a whole: random state, threads, devices, warnings, versions.
#include "addon.h"
#include "kernels.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/empty.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Logging.h>
#include <torch/headeronly/version.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(__GLIBCXX__)
#include <ext/stdio_filebuf.h>
#endif

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <set>

namespace reanchor {

// Each distinct warning once, with a prefix, so that training output stays readable.
class OnceWarnings : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!seen_.insert(warning.msg()).second) return;
    std::fprintf(stderr, "libtorch: %s\n", warning.msg().c_str());
  }

 private:
  std::mutex mutex_;
  std::set<std::string> seen_;
};

// ---- subnormal numbers

static std::atomic<bool> flushes{true};

#if defined(__SSE2__)
static uint64_t readControl() {
  return _mm_getcsr();
}
static void writeControl(uint64_t control) {
  _mm_setcsr(static_cast<uint32_t>(control));
}
// What an operation makes, and what it is given.
constexpr uint64_t kFlush = 0x8000 | 0x0040;
#elif defined(__aarch64__)
static uint64_t readControl() {
  uint64_t control;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  return control;
}
static void writeControl(uint64_t control) {
  asm volatile("msr fpcr, %0" ::"r"(control));
}
constexpr uint64_t kFlush = 1 << 24;
#else
static uint64_t readControl() {
  return 0;
}
static void writeControl(uint64_t) {}
constexpr uint64_t kFlush = 0;
#endif

WithoutSubnormals::WithoutSubnormals() : before_(readControl()) {
  if (flushes.load(std::memory_order_relaxed)) writeControl(before_ | kFlush);
}

WithoutSubnormals::~WithoutSubnormals() {
  writeControl(before_);
}

// setFlushDenormal(on): for this process, on its threads that libtorch has started too.
static napi_value setFlushDenormal(Call& call) {
  const bool on = readBool(call.env, call.argv[0], true);
  flushes = on;
  const auto set = [on](int64_t, int64_t) {
    const uint64_t control = readControl();
    writeControl(on ? control | kFlush : control & ~kFlush);
  };
  parallel(at::get_num_threads(), INT64_MAX, set);
  return nullptr;
}

// ---- what products of float32 matrices are computed in

// setMatmulPrecision(bf16): bfloat16 on the CPU, TF32 on CUDA devices; false: float32 on both.
static napi_value setMatmulPrecision(Call& call) {
  const bool bf16 = readBool(call.env, call.argv[0], false);
  at::globalContext().setFloat32Precision(at::Float32Backend::MKLDNN, at::Float32Op::MATMUL,
                                          bf16 ? at::Float32Precision::BF16 : at::Float32Precision::NONE);
  at::globalContext().setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::MATMUL,
                                          bf16 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE);
  return nullptr;
}

// setOneDnnProducts(on): whether oneDNN computes large products of float32 matrices on the CPU.
static napi_value setOneDnnProducts(Call& call) {
  products::uses_one_dnn = products::canUseOneDnn(readBool(call.env, call.argv[0], false));
  return nullptr;
}

static napi_value manualSeed(Call& call) {
  at::manual_seed(static_cast<uint64_t>(readNumber(call.env, call.argv[0], "seed")));
  return nullptr;
}

static at::Generator generatorOf(Call& call, napi_value device) {
  return at::globalContext().defaultGenerator(readDevice(call.env, device, "device"));
}

static napi_value rngState(Call& call) {
  auto generator = generatorOf(call, call.argv[0]);
  at::Tensor state;
  {
    std::lock_guard<std::mutex> lock(generator.mutex());
    state = generator.get_state().contiguous();
  }
  napi_value buffer, array;
  void* data;
  napi_create_arraybuffer(call.env, state.nbytes(), &data, &buffer);
  std::memcpy(data, state.const_data_ptr(), state.nbytes());
  napi_create_typedarray(call.env, napi_uint8_array, state.nbytes(), buffer, 0, &array);
  return array;
}

static napi_value setRngState(Call& call) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(call.env, call.argv[0], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    throw BadArgument{"'state' must be the Uint8Array that rngState() returned"};
  }
  auto generator = generatorOf(call, call.argv[1]);
  at::Tensor state = at::empty({static_cast<int64_t>(length)}, at::kByte);
  std::memcpy(state.mutable_data_ptr(), data, length);
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
  return nullptr;
}

static napi_value setNumThreads(Call& call) {
  const double count = readNumber(call.env, call.argv[0], "threads");
  if (!(count >= 1 && count <= 4096)) throw BadArgument{"the number of threads must be at least 1"};
  at::set_num_threads(static_cast<int>(count));
  return nullptr;
}

static napi_value getNumThreads(Call& call) {
  return makeNumber(call.env, at::get_num_threads());
}

// Operators with the same result every time, or an error where there is none. New memory is not filled with NaN, which
// libtorch would do besides.
static napi_value setDeterministic(Call& call) {
  bool on = false;
  napi_get_value_bool(call.env, call.argv[0], &on);
  at::globalContext().setDeterministicAlgorithms(on, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  return nullptr;
}

static napi_value deviceCount(Call& call) {
  if (!at::globalContext().hasCUDA()) return makeNumber(call.env, 0);
  return makeNumber(call.env, c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).deviceCount());
}

// Waits for the device's queued work. A no-op on the CPU.
static napi_value synchronize(Call& call) {
  const c10::Device device = readDevice(call.env, call.argv[0], "device");
  if (device.is_cpu() || device.is_meta()) return nullptr;
  c10::impl::VirtualGuardImpl guard(device.type());
  guard.synchronizeDevice(device.has_index() ? device.index() : guard.getDevice().index());
  return nullptr;
}

static c10::DeviceAllocator* allocatorOf(c10::DeviceType type) {
  if (!at::globalContext().hasCUDA()) throw BadArgument{"there is no CUDA device"};
  return c10::getDeviceAllocator(type);
}

// deviceMemory(device) fills the buffer with allocated, peak allocated, reserved, peak reserved, free, total bytes.
static napi_value deviceMemory(Call& call) {
  const c10::Device device = readDevice(call.env, call.argv[0], "device");
  auto* allocator = allocatorOf(device.type());
  const c10::DeviceIndex index = device.has_index() ? device.index() : 0;
  double* out = call.addon.buffer;
  std::fill(out, out + 6, 0);
  const auto memory = allocator->getMemoryInfo(index);
  out[4] = static_cast<double>(memory.first);
  out[5] = static_cast<double>(memory.second);
  if (!allocator->initialized()) return nullptr;
  const auto stats = allocator->getDeviceStats(index);
  out[0] = static_cast<double>(stats.allocated_bytes[0].current);
  out[1] = static_cast<double>(stats.allocated_bytes[0].peak);
  out[2] = static_cast<double>(stats.reserved_bytes[0].current);
  out[3] = static_cast<double>(stats.reserved_bytes[0].peak);
  return nullptr;
}

static napi_value resetPeakMemory(Call& call) {
  const c10::Device device = readDevice(call.env, call.argv[0], "device");
  allocatorOf(device.type())->resetPeakStats(device.has_index() ? device.index() : 0);
  return nullptr;
}

static napi_value emptyCache(Call& call) {
  if (!at::globalContext().hasCUDA()) return nullptr;
  auto* allocator = allocatorOf(c10::DeviceType::CUDA);
  if (allocator->initialized()) allocator->emptyCache();
  return nullptr;
}

// The C library would give every large block back to the system when it is freed, and a step that takes it again would
// pay for each of its pages anew. Kept blocks make a step of training about a tenth cheaper.
static void keepFreedMemory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT32_MAX);
#endif
}

// oneDNN compiles a product for its shape, and packed batches have another shape each step: libtorch and oneDNN would
// keep 1,024 of them each, with memory of their own.
static void keepFewProducts() {
  setenv("LRU_CACHE_CAPACITY", "1", /*overwrite=*/0);
  setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128", /*overwrite=*/0);
}

// Gives what is freed back to the system after all.
static napi_value trimMemory(Call&) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  return nullptr;
}

// Node has copies of the standard streams, which the C++ library of Node initialises. Bound deeply, libtorch has those
// of its own library, which nobody has: without this its first line of log would be a segmentation fault.
static void openStandardStreams() {
#if defined(__GLIBCXX__)
  for (auto [stream, file] : {std::pair{&std::cerr, 2}, std::pair{&std::clog, 2}, std::pair{&std::cout, 1}}) {
    if (*reinterpret_cast<void**>(stream) != nullptr) continue;
    new (stream) std::ostream(new __gnu_cxx::stdio_filebuf<char>(file, std::ios::out));
    stream->setf(std::ios::unitbuf);
  }
#endif
}

// What libtorch logs comes with stacks of a page, and what it means is in the errors that it throws: it logs what ends
// the process, unless TORCH_CPP_LOG_LEVEL asks for more. That is only read here.
static void beginLogging() {
  static std::once_flag once;
  std::call_once(once, [] {
    openStandardStreams();
    setenv("TORCH_CPP_LOG_LEVEL", "FATAL", /*overwrite=*/0);
    c10::initLogging();
  });
}

// config(): { compiledFor, build, cpu, oneDNN, products, parallel }
static napi_value config(Call& call) {
  napi_value result;
  napi_create_object(call.env, &result);
  const auto set = [&](const char* name, const std::string& text) {
    napi_set_named_property(call.env, result, name, makeString(call.env, text));
  };
  set("compiledFor", TORCH_VERSION);
  set("build", at::show_config());
  set("cpu", at::get_cpu_capability());
  set("oneDNN", at::globalContext().hasMKLDNN() ? at::get_mkldnn_version() : "");
  set("products", products::uses_one_dnn ? "oneDNN" : "MKL");
  set("parallel", at::get_parallel_info());
  return result;
}

void defineRuntime(Addon& addon, napi_value exports) {
  beginLogging();
  useCpuAllocator();
  static OnceWarnings* const warnings = new OnceWarnings();
  c10::WarningUtils::set_warning_handler(warnings);
  keepFreedMemory();
  keepFewProducts();
  define(addon, exports, "setFlushDenormal", setFlushDenormal);
  define(addon, exports, "setMatmulPrecision", setMatmulPrecision);
  define(addon, exports, "setOneDnnProducts", setOneDnnProducts);
  define(addon, exports, "manualSeed", manualSeed);
  define(addon, exports, "rngState", rngState);
  define(addon, exports, "setRngState", setRngState);
  define(addon, exports, "setNumThreads", setNumThreads);
  define(addon, exports, "getNumThreads", getNumThreads);
  define(addon, exports, "setDeterministic", setDeterministic);
  define(addon, exports, "deviceCount", deviceCount);
  define(addon, exports, "synchronize", synchronize);
  define(addon, exports, "deviceMemory", deviceMemory);
  define(addon, exports, "resetPeakMemory", resetPeakMemory);
  define(addon, exports, "emptyCache", emptyCache);
  define(addon, exports, "trimMemory", trimMemory);
  define(addon, exports, "config", config);
}

}  // namespace reanchor
