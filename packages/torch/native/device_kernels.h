// Launching kernels that were compiled at run time: see device_kernels.cc.
#pragma once

#include "addon.h"

namespace reanchor::device {

// Threads of a block, for which all kernels are written.
constexpr unsigned kThreads = 256;

// Launches a loaded kernel, by its number, on libtorch's current stream of this device. `arguments` is the one struct
// that it takes, whose addresses have to be of that device.
void launch(int64_t kernel, const c10::Device& device, int64_t blocks, void* arguments);

}  // namespace reanchor::device
