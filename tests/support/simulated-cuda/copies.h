// Copies on a stream of their own, as late as a GPU may make them: when somebody waits for them. What is read or
// written too early is then wrong in every run, and not in one of a thousand.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>
#include <functional>
#include <vector>

namespace simulated {

class Copies {
 public:
  explicit Copies(std::function<at::Tensor(const at::Tensor&)> on_cpu) : on_cpu_(std::move(on_cpu)) {}

  // The number of the last one, which an event of its stream waits for; from 1 on.
  size_t last() const { return copies_.size(); }

  void add(const at::Tensor& to, const at::Tensor& from) {
    // A GPU may read the memory of the program long after the program has gone on.
    copies_.push_back({to, from, from.is_cuda() ? at::Tensor() : from.clone()});
  }

  // Its values are there; 0 is no copy.
  void run(size_t number) {
    if (number == 0) return;
    Copy& copy = copies_[number - 1];
    if (!copy.to.defined()) return;
    on_cpu_(copy.to).copy_(on_cpu_(copy.from));
    copy.to.reset();
  }

  // And the program knows it.
  void finish(size_t number) {
    if (number == 0) return;
    run(number);
    Copy& copy = copies_[number - 1];
    const bool changed =
        copy.given.defined() && std::memcmp(copy.given.data_ptr(), copy.from.data_ptr(), copy.from.nbytes()) != 0;
    copy.given.reset();
    copy.from.reset();
    TORCH_CHECK(!changed, "pinned memory was written to while a copy could still read it");
  }

  void finishAll() {
    for (size_t number = 1; number <= last(); number++) finish(number);
  }

 private:
  struct Copy {
    at::Tensor to;     // undefined after it was made
    at::Tensor from;   // undefined after it is known
    at::Tensor given;  // what the memory of the program was
  };
  std::function<at::Tensor(const at::Tensor&)> on_cpu_;
  std::vector<Copy> copies_;
};

}  // namespace simulated
