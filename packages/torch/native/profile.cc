// Recording what libtorch computes: every operator, forward and backward, with its thread and nesting.
#include "addon.h"

#include <ATen/record_function.h>

#include <chrono>
#include <mutex>

namespace reanchor {

struct ProfiledCall {
  std::string name;
  double start_us;
  double end_us;
  uint64_t thread;
};

static std::mutex profile_mutex;
static std::vector<ProfiledCall> profiled;
static at::CallbackHandle profile_callback = at::INVALID_CALLBACK_HANDLE;

static double nowUs() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct ProfileContext : at::ObserverContext {
  double start_us = nowUs();
};

static std::unique_ptr<at::ObserverContext> onEnter(const at::RecordFunction&) {
  return std::make_unique<ProfileContext>();
}

static void onExit(const at::RecordFunction& function, at::ObserverContext* context) {
  const double end = nowUs();
  std::lock_guard<std::mutex> lock(profile_mutex);
  profiled.push_back(
      {function.name(), static_cast<ProfileContext*>(context)->start_us, end, at::RecordFunction::currentThreadId()});
}

static napi_value startProfile(Call&) {
  if (profile_callback != at::INVALID_CALLBACK_HANDLE) throw BadArgument{"operators are being recorded already"};
  profile_callback = at::addGlobalCallback(
      at::RecordFunctionCallback(onEnter, onExit)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION, at::RecordScope::USER_SCOPE}));
  return nullptr;
}

// Ends the recording. Returns names and a Float64Array with start, end (microseconds) and thread of each call.
static napi_value stopProfile(Call& call) {
  if (profile_callback == at::INVALID_CALLBACK_HANDLE) throw BadArgument{"operators are not being recorded"};
  at::removeCallback(profile_callback);
  profile_callback = at::INVALID_CALLBACK_HANDLE;
  std::lock_guard<std::mutex> lock(profile_mutex);
  napi_value result, names, buffer, times;
  double* values;
  napi_create_object(call.env, &result);
  napi_create_array_with_length(call.env, profiled.size(), &names);
  napi_create_arraybuffer(call.env, profiled.size() * 3 * sizeof(double), reinterpret_cast<void**>(&values), &buffer);
  for (size_t i = 0; i < profiled.size(); i++) {
    napi_set_element(call.env, names, i, makeString(call.env, profiled[i].name));
    values[3 * i] = profiled[i].start_us;
    values[3 * i + 1] = profiled[i].end_us;
    values[3 * i + 2] = static_cast<double>(profiled[i].thread);
  }
  napi_create_typedarray(call.env, napi_float64_array, profiled.size() * 3, buffer, 0, &times);
  napi_set_named_property(call.env, result, "names", names);
  napi_set_named_property(call.env, result, "times", times);
  profiled.clear();
  return result;
}

static napi_value clockUs(Call& call) {
  return makeNumber(call.env, nowUs());
}

void defineProfile(Addon& addon, napi_value exports) {
  define(addon, exports, "startProfile", startProfile);
  define(addon, exports, "stopProfile", stopProfile);
  define(addon, exports, "clockUs", clockUs);
}

}  // namespace reanchor
