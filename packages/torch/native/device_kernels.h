// Launching kernels that were compiled at run time: see device_kernels.cc.
#pragma once

#include "addon.h"

namespace reanchor::device {

// Threads of a block, for which all kernels are written.
constexpr unsigned kThreads = 256;

// Launches a loaded kernel, by its number, on libtorch's current stream of this device. `arguments` is the one struct
// that it takes, whose addresses have to be of that device.
void launch(int64_t kernel, const c10::Device& device, int64_t blocks, void* arguments);

// Where a tensor begins, as kernels take addresses; 0 for none.
uint64_t addressOf(const at::Tensor& x);

// A tensor as kernels read it, contiguous from a multiple of four elements on: itself, or a copy.
at::Tensor readable(const at::Tensor& x);

}  // namespace reanchor::device
