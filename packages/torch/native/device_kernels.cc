// Kernels of our own on CUDA devices, compiled at run time: NVRTC makes machine code of a text, the driver loads and
// launches it. Both libraries are opened when they are asked for, and what is called of them is declared here, so that
// the addon is compiled without CUDA's headers and loads where there is no CUDA.
//
// Which texts there are, and where machine code is kept, is src/device-kernels.ts.
#include "device_kernels.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

#include <mutex>
#include <sstream>

namespace reanchor::device {

using Status = int;  // nvrtcResult and CUresult: 0 is success
using Program = void*;
using Context = void*;
using Module = void*;
using Function = void*;

struct Libraries {
  // NVRTC
  Status (*version)(int* major, int* minor);
  const char* (*errorString)(Status);
  Status (*createProgram)(Program*, const char* source, const char* name, int, const char* const*, const char* const*);
  Status (*compileProgram)(Program, int count, const char* const* options);
  Status (*logSize)(Program, size_t*);
  Status (*log)(Program, char*);
  Status (*cubinSize)(Program, size_t*);
  Status (*cubin)(Program, char*);
  Status (*destroyProgram)(Program*);
  // The driver
  Status (*init)(unsigned flags);
  Status (*errorName)(Status, const char**);
  Status (*attribute)(int* value, int attribute, int device);
  Status (*currentContext)(Context*);
  Status (*setContext)(Context);
  Status (*primaryContext)(Context*, int device);
  Status (*loadModule)(Module*, const void* image);
  Status (*function)(Function*, Module, const char* name);
  Status (*launch)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned shared, void* stream,
                   void** arguments, void** extra);
};

struct Loaded {
  Function function;
  std::string name;
  c10::DeviceIndex device;
};

static std::mutex mutex;
static Libraries* libraries = nullptr;
// What is loaded stays as long as the process.
static std::vector<Loaded>* loaded = new std::vector<Loaded>();

static void* open(const std::string& path, int flags) {
  void* handle = dlopen(path.c_str(), flags);
  TORCH_CHECK(handle != nullptr, "cannot open ", path, ": ", dlerror());
  return handle;
}

template <typename F>
static void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  TORCH_CHECK(function != nullptr, "the library has no ", name, ": it is older than CUDA 12");
}

static Libraries* opened(const std::string& nvrtc, const std::string& driver) {
  Libraries all{};
  void* compiler = open(nvrtc, RTLD_NOW);
  find(compiler, "nvrtcVersion", all.version);
  find(compiler, "nvrtcGetErrorString", all.errorString);
  find(compiler, "nvrtcCreateProgram", all.createProgram);
  find(compiler, "nvrtcCompileProgram", all.compileProgram);
  find(compiler, "nvrtcGetProgramLogSize", all.logSize);
  find(compiler, "nvrtcGetProgramLog", all.log);
  find(compiler, "nvrtcGetCUBINSize", all.cubinSize);
  find(compiler, "nvrtcGetCUBIN", all.cubin);
  find(compiler, "nvrtcDestroyProgram", all.destroyProgram);
  if (!driver.empty()) {
    void* cuda = open(driver, RTLD_NOW);
    find(cuda, "cuInit", all.init);
    find(cuda, "cuGetErrorName", all.errorName);
    find(cuda, "cuDeviceGetAttribute", all.attribute);
    find(cuda, "cuCtxGetCurrent", all.currentContext);
    find(cuda, "cuCtxSetCurrent", all.setContext);
    find(cuda, "cuDevicePrimaryCtxRetain", all.primaryContext);
    find(cuda, "cuModuleLoadData", all.loadModule);
    find(cuda, "cuModuleGetFunction", all.function);
    find(cuda, "cuLaunchKernel", all.launch);
  }
  return new Libraries(all);
}

static const Libraries& use() {
  TORCH_CHECK(libraries != nullptr, "NVRTC has not been opened");
  return *libraries;
}

static const Libraries& useDriver() {
  TORCH_CHECK(use().launch != nullptr, "the driver has not been opened");
  return use();
}

static void checkNvrtc(Status status, const char* doing) {
  TORCH_CHECK(status == 0, "NVRTC: ", doing, ": ", use().errorString(status));
}

static void checkDriver(Status status, const std::string& doing) {
  const char* name = nullptr;
  if (status != 0) use().errorName(status, &name);
  TORCH_CHECK(status == 0, "the CUDA driver: ", doing, ": ", name ? name : std::to_string(status));
}

// The context that libtorch uses of a device; a thread of which libtorch has asked nothing yet has none.
static void enterContext(c10::DeviceIndex device) {
  Context context = nullptr;
  checkDriver(useDriver().currentContext(&context), "asking for the context");
  if (context != nullptr) return;
  checkDriver(useDriver().primaryContext(&context, device), "taking the context of the device");
  checkDriver(useDriver().setContext(context), "entering the context of the device");
}

// libtorch's current stream.
static void* currentStream(const c10::Device& device) {
  const c10::Stream stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  if (stream.id() == 0) return nullptr;  // the default one
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 12
  return stream.native_handle();
#else
  TORCH_CHECK(false, "kernels are launched on the default stream alone by this libtorch");
#endif
}

static c10::DeviceIndex indexOf(const c10::Device& device) {
  if (device.has_index()) return device.index();
  return c10::impl::VirtualGuardImpl(device.type()).getDevice().index();
}

void launch(int64_t kernel, const c10::Device& device, int64_t blocks, void* arguments) {
  Loaded one;
  {
    std::lock_guard<std::mutex> lock(mutex);
    TORCH_CHECK(kernel >= 0 && kernel < static_cast<int64_t>(loaded->size()), "no kernel ", kernel, " is loaded");
    one = (*loaded)[static_cast<size_t>(kernel)];
  }
  TORCH_CHECK(device.is_cuda() && indexOf(device) == one.device, one.name, " is loaded on cuda:", int(one.device),
              ", the tensors are on ", device);
  if (blocks == 0) return;
  TORCH_CHECK(blocks <= INT32_MAX, one.name, " takes at most 2^31 - 1 blocks, got ", blocks);
  const c10::DeviceGuard guard(device);
  enterContext(one.device);
  void* all[] = {arguments};
  checkDriver(useDriver().launch(one.function, static_cast<unsigned>(blocks), 1, 1, kThreads, 1, 1, 0,
                                 currentStream(device), all, nullptr),
              "launching " + one.name);
}

uint64_t addressOf(const at::Tensor& x) { return x.defined() ? reinterpret_cast<uint64_t>(x.data_ptr()) : 0; }

at::Tensor readable(const at::Tensor& x) {
  const bool isAligned = addressOf(x) % (4 * x.element_size()) == 0;
  return isAligned ? x.contiguous() : x.clone(at::MemoryFormat::Contiguous);
}

// ---- what src/device-kernels.ts calls

// openKernels(nvrtc, builtins, driver): the version of NVRTC, as in 13.0. Without a driver kernels are compiled alone.
static napi_value openKernels(Call& call) {
  std::lock_guard<std::mutex> lock(mutex);
  const std::string builtins = readString(call.env, call.argv[1], "builtins");
  // NVRTC asks the loader for its builtins by name, and finds them where they are loaded already.
  if (!builtins.empty()) open(builtins, RTLD_NOW | RTLD_GLOBAL);
  if (libraries == nullptr || libraries->launch == nullptr) {
    libraries = opened(readString(call.env, call.argv[0], "nvrtc"), readString(call.env, call.argv[2], "driver"));
    if (libraries->init != nullptr) checkDriver(libraries->init(0), "starting");
  }
  int major = 0, minor = 0;
  checkNvrtc(use().version(&major, &minor), "asking for the version");
  return makeString(call.env, std::to_string(major) + "." + std::to_string(minor));
}

// deviceArchitecture(device): as in sm_90
static napi_value deviceArchitecture(Call& call) {
  const c10::DeviceIndex device = indexOf(readDevice(call.env, call.argv[0], "device"));
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
  int major = 0, minor = 0;
  checkDriver(useDriver().attribute(&major, kMajor, device), "asking for the architecture");
  checkDriver(useDriver().attribute(&minor, kMinor, device), "asking for the architecture");
  return makeString(call.env, "sm_" + std::to_string(major) + std::to_string(minor));
}

struct OwnedProgram {
  Program program = nullptr;
  ~OwnedProgram() {
    if (program != nullptr) use().destroyProgram(&program);
  }
};

static std::string logOf(Program program) {
  size_t size = 0;
  if (use().logSize(program, &size) != 0 || size <= 1) return "NVRTC says nothing";
  std::string log(size, '\0');
  use().log(program, log.data());
  return log.substr(0, size - 1);
}

// compileKernel(source, name, options): machine code as a Uint8Array; options are words between spaces. The error for a
// text that does not compile is NVRTC's log.
static napi_value compileKernel(Call& call) {
  const std::string source = readString(call.env, call.argv[0], "source");
  const std::string name = readString(call.env, call.argv[1], "name");
  std::istringstream given(readString(call.env, call.argv[2], "options"));
  std::vector<std::string> words;
  for (std::string word; given >> word;) words.push_back(word);
  std::vector<const char*> options;
  for (const std::string& word : words) options.push_back(word.c_str());
  OwnedProgram owned;
  checkNvrtc(use().createProgram(&owned.program, source.c_str(), name.c_str(), 0, nullptr, nullptr), "taking the text");
  const Status status = use().compileProgram(owned.program, static_cast<int>(options.size()), options.data());
  TORCH_CHECK(status == 0, "NVRTC does not compile ", name, ": ", use().errorString(status), "\n", logOf(owned.program));
  size_t size = 0;
  checkNvrtc(use().cubinSize(owned.program, &size), "asking for the machine code");
  napi_value buffer, array;
  void* data;
  napi_create_arraybuffer(call.env, size, &data, &buffer);
  checkNvrtc(use().cubin(owned.program, static_cast<char*>(data)), "taking the machine code");
  napi_create_typedarray(call.env, napi_uint8_array, size, buffer, 0, &array);
  return array;
}

// loadKernel(cubin, name, device): the number by which operators launch it.
static napi_value loadKernel(Call& call) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(call.env, call.argv[0], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    throw BadArgument{"'cubin' must be the Uint8Array that compileKernel() returned"};
  }
  const std::string name = readString(call.env, call.argv[1], "name");
  const c10::Device device = readDevice(call.env, call.argv[2], "device");
  const c10::DeviceIndex index = indexOf(device);
  const c10::DeviceGuard guard(c10::Device(device.type(), index));
  enterContext(index);
  Loaded one{nullptr, name, index};
  Module module = nullptr;
  checkDriver(useDriver().loadModule(&module, data), "loading " + name);
  checkDriver(useDriver().function(&one.function, module, name.c_str()), "finding " + name);
  std::lock_guard<std::mutex> lock(mutex);
  loaded->push_back(one);
  return makeNumber(call.env, static_cast<double>(loaded->size() - 1));
}

}  // namespace reanchor::device

namespace reanchor {

void defineDeviceKernels(Addon& addon, napi_value exports) {
  define(addon, exports, "openKernels", device::openKernels);
  define(addon, exports, "deviceArchitecture", device::deviceArchitecture);
  define(addon, exports, "compileKernel", device::compileKernel);
  define(addon, exports, "loadKernel", device::loadKernel);
}

}  // namespace reanchor
