// The part of NVRTC and of the driver that packages/torch/native/device_kernels.cc calls, for the simulated device: a
// kernel's text is compiled by the C++ compiler, and launching it runs its threads one after the other. What is called
// machine code is a shared library behind its size.
#pragma once

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#define SIMULATED extern "C" __attribute__((visibility("default")))

namespace simulated {

struct Program {
  std::string source, log, code;
};

inline std::string contentOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// NVRTC's options as the C++ compiler has them.
inline std::string hostOptions(int count, const char* const* options) {
  std::string all = "-O1 -fPIC -shared -fvisibility=default -Wno-unknown-pragmas";
  bool contracts = true;
  for (int i = 0; i < count; i++) {
    const std::string option = options[i];
    if (option == "--fmad=false") contracts = false;
    if (option.rfind("-D", 0) == 0) all += " " + option;
    if (option.rfind("--std=", 0) == 0) all += " " + option.substr(1);
  }
  return all + (contracts ? " -ffp-contract=fast" : " -ffp-contract=off");
}

inline int compile(Program& program, int count, const char* const* options) {
  namespace fs = std::filesystem;
  std::string name = (fs::temp_directory_path() / "simulated-nvrtc-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) return 1;
  const fs::path folder = name, text = folder / "kernel.cc", library = folder / "kernel.so", log = folder / "log";
  std::ofstream(text) << "#include \"" << HOST_KERNELS << "\"\n#line 1 \"kernel.cu\"\n" << program.source;
  const std::string command = "c++ " + hostOptions(count, options) + " '" + text.string() + "' -o '" +
                              library.string() + "' >'" + log.string() + "' 2>&1";
  const int status = std::system(command.c_str());
  program.log = contentOf(log);
  const std::string code = contentOf(library);
  const uint64_t size = code.size();
  program.code = std::string(reinterpret_cast<const char*>(&size), sizeof size) + code;
  fs::remove_all(folder);
  return status == 0 ? 0 : 6;  // NVRTC_ERROR_COMPILATION
}

inline void*& currentContext() {
  static void* context = nullptr;
  return context;
}

using Run = void (*)(unsigned blocks, unsigned threads, const void* arguments);

}  // namespace simulated

SIMULATED int nvrtcVersion(int* major, int* minor) {
  *major = 0;
  *minor = KERNELS_VERSION;
  return 0;
}
SIMULATED const char* nvrtcGetErrorString(int status) {
  return status == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_INTERNAL_ERROR";
}
SIMULATED int nvrtcCreateProgram(void** program, const char* source, const char*, int, const char* const*,
                                 const char* const*) {
  *program = new simulated::Program{source, "", ""};
  return 0;
}
SIMULATED int nvrtcCompileProgram(void* program, int count, const char* const* options) {
  return simulated::compile(*static_cast<simulated::Program*>(program), count, options);
}
SIMULATED int nvrtcGetProgramLogSize(void* program, size_t* size) {
  *size = static_cast<simulated::Program*>(program)->log.size() + 1;
  return 0;
}
SIMULATED int nvrtcGetProgramLog(void* program, char* to) {
  std::strcpy(to, static_cast<simulated::Program*>(program)->log.c_str());
  return 0;
}
SIMULATED int nvrtcGetCUBINSize(void* program, size_t* size) {
  *size = static_cast<simulated::Program*>(program)->code.size();
  return 0;
}
SIMULATED int nvrtcGetCUBIN(void* program, char* to) {
  const std::string& code = static_cast<simulated::Program*>(program)->code;
  std::memcpy(to, code.data(), code.size());
  return 0;
}
SIMULATED int nvrtcDestroyProgram(void** program) {
  delete static_cast<simulated::Program*>(*program);
  *program = nullptr;
  return 0;
}

SIMULATED int cuInit(unsigned) { return 0; }
SIMULATED int cuGetErrorName(int status, const char** name) {
  *name = status == 200 ? "CUDA_ERROR_INVALID_IMAGE" : status == 500 ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR_UNKNOWN";
  return 0;
}
// Compute capability 9.0.
SIMULATED int cuDeviceGetAttribute(int* value, int attribute, int) {
  *value = attribute == 75 ? 9 : 0;
  return 0;
}
SIMULATED int cuCtxGetCurrent(void** context) {
  *context = simulated::currentContext();
  return 0;
}
SIMULATED int cuCtxSetCurrent(void* context) {
  simulated::currentContext() = context;
  return 0;
}
SIMULATED int cuDevicePrimaryCtxRetain(void** context, int) {
  static int of_device;
  *context = &of_device;
  return 0;
}
SIMULATED int cuModuleLoadData(void** module, const void* image) {
  uint64_t size;
  std::memcpy(&size, image, sizeof size);
  if (simulated::currentContext() == nullptr || std::memcmp(static_cast<const char*>(image) + sizeof size, "\177ELF", 4) != 0)
    return 200;
  // It stays open, since the loader takes files of one name for one.
  const int file = memfd_create("kernel", 0);
  if (write(file, static_cast<const char*>(image) + sizeof size, size) != static_cast<ssize_t>(size)) return 200;
  *module = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  return *module == nullptr ? 200 : 0;
}
SIMULATED int cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = dlsym(module, name);
  return *function == nullptr ? 500 : 0;
}
SIMULATED int cuLaunchKernel(void* function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                             unsigned, void*, void** arguments, void**) {
  reinterpret_cast<simulated::Run>(function)(blocks, threads, arguments[0]);
  return 0;
}
