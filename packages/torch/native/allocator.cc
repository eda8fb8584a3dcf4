// Memory of CPU tensors. libtorch's own allocator calls posix_memalign, and of that glibc gives no freed block to a
// request of the same size, since it looks for one that is larger by the alignment: a training step, which frees and
// asks for the same sizes again and again, then holds up to 1.5 times what its tensors need. malloc finds such blocks,
// so that the alignment is made here, inside a block a little larger than asked for.
#include "addon.h"

#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>

namespace reanchor {

// Bytes of CPU tensors that exist now, and at most so far.
static std::atomic<int64_t> cpu_bytes{0}, cpu_peak_bytes{0};

class CpuAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes == 0 ? nullptr : take(bytes);
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }

 private:
  static constexpr size_t kAlignment = 64;

  // Stands in front of every block, where the alignment leaves at least kAlignment bytes.
  struct Header {
    void* start;
    size_t bytes;
  };

  static void* take(size_t bytes) {
    void* start = std::malloc(bytes + 2 * kAlignment);
    TORCH_CHECK(start != nullptr, "can't allocate memory: ", bytes, " bytes were asked for");
    const auto data = (reinterpret_cast<uintptr_t>(start) + 2 * kAlignment - 1) & ~(kAlignment - 1);
    reinterpret_cast<Header*>(data)[-1] = {start, bytes};
    const int64_t now = cpu_bytes += static_cast<int64_t>(bytes);
    int64_t peak = cpu_peak_bytes;
    while (now > peak && !cpu_peak_bytes.compare_exchange_weak(peak, now)) {
    }
    return reinterpret_cast<void*>(data);
  }

  static void release(void* data) {
    if (data == nullptr) return;
    const Header header = static_cast<Header*>(data)[-1];
    cpu_bytes -= static_cast<int64_t>(header.bytes);
    std::free(header.start);
  }
};

// Once a process, and never undone: a tensor may outlive the thread whose addon made it.
void useCpuAllocator() {
  static std::once_flag once;
  std::call_once(once, [] { c10::SetCPUAllocator(new CpuAllocator(), 255); });
}

int64_t cpuBytes() { return cpu_bytes; }
int64_t cpuPeakBytes() { return cpu_peak_bytes; }
void resetCpuPeak() { cpu_peak_bytes = cpu_bytes.load(); }

}  // namespace reanchor
