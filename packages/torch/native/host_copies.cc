// Copies between a device and main memory that go on beside the work that the device is given meanwhile: on streams of
// their own, from or to pinned memory, which the device reads and writes by itself.
#include "addon.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>

namespace reanchor {

struct HostCopy {
  at::Tensor from;  // not given back, nor its memory used again, before the copy has ended
  c10::Event done;
};

static void requireCopies(const at::Tensor& to, const at::Tensor& from) {
  if (to.is_cuda() == from.is_cuda()) throw BadArgument{"one tensor is on a CUDA device, the other in main memory"};
  if (!(to.is_cuda() ? from : to).is_pinned()) throw BadArgument{"the tensor in main memory must be pinned: emptyPinned makes one"};
  if (to.scalar_type() != from.scalar_type() || to.numel() != from.numel() || !to.is_contiguous() ||
      !from.is_contiguous()) {
    throw BadArgument{"the tensors must be contiguous, of one dtype and one size: " + describe(to) + ", " +
                      describe(from)};
  }
}

// beginCopy(to, from): the number of a copy that begins when the device has done what it was given so far.
static napi_value beginCopy(Call& call) {
  const at::Tensor& to = readTensor(call.addon, call.argv[0], "to");
  const at::Tensor& from = readTensor(call.addon, call.argv[1], "from");
  requireCopies(to, from);
  const c10::Device device = to.is_cuda() ? to.device() : from.device();
  const c10::impl::VirtualGuardImpl guard(device.type());
  const c10::Stream beside = guard.getStreamFromGlobalPool(device);
  c10::Event ready(device.type());
  ready.record(guard.getStream(device));
  ready.block(beside);
  auto copy = std::make_shared<HostCopy>(HostCopy{from, c10::Event(device.type())});
  {
    const c10::StreamGuard on(beside);
    const c10::NoGradGuard no_grad;
    to.copy_(from, /*non_blocking=*/true);
  }
  copy->done.record(beside);
  const double number = call.addon.next_copy++;
  call.addon.copies.emplace(number, std::move(copy));
  return makeNumber(call.env, number);
}

static std::shared_ptr<HostCopy> copyOf(Call& call) {
  const auto found = call.addon.copies.find(readNumber(call.env, call.argv[0], "copy"));
  return found == call.addon.copies.end() ? nullptr : found->second;
}

// awaitCopy(number): what the device is given from now on begins after the copy. Harmless for one that was finished.
static napi_value awaitCopy(Call& call) {
  const auto copy = copyOf(call);
  if (copy == nullptr) return nullptr;
  const c10::impl::VirtualGuardImpl guard(copy->done.device_type());
  copy->done.block(guard.getStream(copy->done.device()));
  return nullptr;
}

// finishCopy(number): returns after the copy. Harmless for one that was finished.
static napi_value finishCopy(Call& call) {
  const auto copy = copyOf(call);
  if (copy == nullptr) return nullptr;
  copy->done.synchronize();
  call.addon.copies.erase(readNumber(call.env, call.argv[0], "copy"));
  return nullptr;
}

void defineHostCopies(Addon& addon, napi_value exports) {
  define(addon, exports, "beginCopy", beginCopy);
  define(addon, exports, "awaitCopy", awaitCopy);
  define(addon, exports, "finishCopy", finishCopy);
}

}  // namespace reanchor
