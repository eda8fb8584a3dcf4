// The door: handle table, operator resolution and the one boxed call.
#include "addon.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>

namespace reanchor {

// ---- handles

double Handles::put(at::Tensor&& tensor) {
  uint32_t index;
  if (free_ != kNone) {
    index = free_;
    free_ = slots_[index].next;
  } else {
    if (slots_.size() >= kMaxSlots) throw BadArgument{"more than 2^26 tensors are alive"};
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  }
  Slot& slot = slots_[index];
  slot.tensor = std::move(tensor);
  if (++live > peak) peak = live;
  return static_cast<double>((static_cast<uint64_t>(slot.generation) << kSlotBits) | index);
}

const at::Tensor* Handles::find(double handle) const {
  if (!(handle >= 1 && handle < 9007199254740992.0)) return nullptr;
  const auto bits = static_cast<uint64_t>(handle);
  const auto index = static_cast<uint32_t>(bits & (kMaxSlots - 1));
  if (index >= slots_.size()) return nullptr;
  const Slot& slot = slots_[index];
  if (slot.generation != bits >> kSlotBits || !slot.tensor.defined()) return nullptr;
  return &slot.tensor;
}

const at::Tensor& Handles::get(double handle, const char* what) const {
  const at::Tensor* tensor = find(handle);
  if (tensor) return *tensor;
  throw BadArgument{std::string("'") + what +
                        "' was disposed. A tensor lives until its scope ends: return it from tidy(), or keep() it",
                    true};
}

Slot* Handles::slot(double handle) {
  if (!find(handle)) return nullptr;
  return &slots_[static_cast<uint64_t>(handle) & (kMaxSlots - 1)];
}

size_t Handles::drop(double handle) {
  Slot* slot = this->slot(handle);
  if (!slot) return 0;
  // Destroying a tensor can run arbitrary C++ (an autograd graph is freed), so the slot is made consistent first.
  at::Tensor doomed = std::move(slot->tensor);
  slot->tensor = at::Tensor();
  const size_t bytes = slot->external_bytes;
  slot->external_bytes = 0;
  live--;
  if (slot->generation < kMaxGeneration) {
    slot->generation++;
    slot->next = free_;
    free_ = static_cast<uint32_t>(slot - slots_.data());
  } else {
    slot->generation = 0;  // worn out: never handed out again
  }
  return bytes;
}

// ---- small helpers

napi_value undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value makeNumber(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

napi_value makeString(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value makeHandle(Addon& addon, at::Tensor&& tensor) {
  if (!tensor.defined()) return makeNumber(addon.env, 0);
  return makeNumber(addon.env, addon.handles.put(std::move(tensor)));
}

void reportExternal(Addon& addon, int64_t bytes) {
  addon.external_pending += bytes;
  addon.external_total += bytes;
  if (std::abs(addon.external_pending) < (1 << 20)) return;
  int64_t total;
  napi_adjust_external_memory(addon.env, addon.external_pending, &total);
  addon.external_pending = 0;
}

static void raise(Addon& addon, const char* code, const std::string& op, const std::string& shapes,
                  const std::string& words) {
  napi_env env = addon.env;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return;
  napi_value factory = nullptr, error = nullptr;
  if (addon.error_factory) napi_get_reference_value(env, addon.error_factory, &factory);
  if (factory) {
    napi_value arguments[4] = {makeString(env, code), makeString(env, op), makeString(env, shapes),
                               makeString(env, words)};
    if (napi_call_function(env, undefined(env), factory, 4, arguments, &error) == napi_ok) {
      napi_throw(env, error);
      return;
    }
    return;  // the factory's own exception is pending
  }
  napi_throw_error(env, code, (op + shapes + ": " + words).c_str());
}

void throwCurrent(Addon& addon, const std::string& op, const std::string& shapes) {
  try {
    throw;
  } catch (const BadArgument& e) {
    raise(addon, e.disposed ? "DISPOSED" : "ARGUMENT", op, shapes, e.words);
  } catch (const c10::OutOfMemoryError& e) {
    raise(addon, "OUT_OF_MEMORY", op, shapes, e.what_without_backtrace());
  } catch (const c10::Error& e) {
    // The CPU's allocator has no error class of its own.
    const bool memory = std::strstr(e.what_without_backtrace(), "can't allocate memory") != nullptr;
    raise(addon, memory ? "OUT_OF_MEMORY" : "TORCH", op, shapes, e.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    raise(addon, "OUT_OF_MEMORY", op, shapes, "out of memory");
  } catch (const std::exception& e) {
    raise(addon, "TORCH", op, shapes, e.what());
  } catch (...) {
    raise(addon, "TORCH", op, shapes, "unknown C++ exception");
  }
}

static napi_value runEntry(napi_env env, napi_callback_info info) {
  napi_value argv[8];
  size_t argc = 8;
  void* data;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  const Entry& entry = *static_cast<Entry*>(data);
  Call call{*entry.addon, env, argc, argv};
  const WithoutSubnormals while_it_computes;
  try {
    return entry.body(call);
  } catch (...) {
    throwCurrent(*entry.addon, entry.name, "");
    return nullptr;
  }
}

void define(Addon& addon, napi_value exports, const char* name, Body body) {
  addon.entries.push_back(std::make_unique<Entry>(Entry{&addon, name, body}));
  napi_value function;
  napi_create_function(addon.env, name, NAPI_AUTO_LENGTH, runEntry, addon.entries.back().get(), &function);
  napi_set_named_property(addon.env, exports, name, function);
}

// ---- operators

static std::string describeArguments(const Op& op, size_t argc, const napi_value* argv) {
  std::string text = "(";
  for (size_t i = 0; i < op.arguments.size() && i < argc; i++) {
    const Argument& argument = op.arguments[i];
    std::string part;
    try {
      if (argument.kind == Kind::Tensor && !isMissing(op.addon->env, argv[i])) {
        part = describe(readTensor(*op.addon, argv[i], argument.name.c_str()));
      } else if (argument.kind == Kind::TensorList && !isMissing(op.addon->env, argv[i])) {
        const auto tensors = readTensors(*op.addon, argv[i], argument.name.c_str());
        part = std::to_string(tensors.size()) + " x [";
        for (size_t k = 0; k < tensors.size() && k < 4; k++) part += (k ? ", " : "") + describe(tensors[k]);
        part += tensors.size() > 4 ? ", ...]" : "]";
      }
    } catch (const BadArgument&) {
      part = "disposed";
    }
    if (!part.empty()) text += (text.size() > 1 ? ", " : "") + argument.name + ": " + part;
  }
  return text + ")";
}

static napi_value callOp(napi_env env, napi_callback_info info) {
  constexpr size_t kUsual = 10, kMost = 40;
  napi_value argv[kMost];
  size_t argc = kUsual;
  void* data;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  if (argc > kUsual) {
    argc = std::min(argc, kMost);
    napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  }
  Op& op = *static_cast<Op*>(data);
  Addon& addon = *op.addon;
  torch::jit::Stack& stack = addon.stack;
  const WithoutSubnormals while_it_computes;
  try {
    const size_t count = op.arguments.size();
    if (argc > count) throw BadArgument{"takes " + std::to_string(count) + " arguments, got " + std::to_string(argc)};
    for (size_t i = 0; i < count; i++) {
      Argument& argument = op.arguments[i];
      double handle;
      if (i < argc && argument.kind == Kind::Tensor && napi_get_value_double(env, argv[i], &handle) == napi_ok) {
        stack.emplace_back(addon.handles.get(handle, argument.name.c_str()));
      } else if (i < argc) {
        stack.emplace_back(toIValue(addon, argument, argv[i]));
      } else if (argument.has_default) {
        stack.emplace_back(argument.default_value);
      } else if (argument.optional) {
        stack.emplace_back();
      } else {
        throw BadArgument{"argument '" + argument.name + "' (" + argument.type + ") is missing"};
      }
    }
    op.handle.callBoxed(&stack);
    napi_value result = nullptr;
    if (stack.size() == 1) {
      result = op.writes[0] >= 0 ? argv[op.writes[0]] : fromIValue(addon, std::move(stack[0]));
    } else if (!stack.empty()) {
      napi_create_array_with_length(env, stack.size(), &result);
      for (size_t i = 0; i < stack.size(); i++) {
        const bool own = op.writes[i] >= 0;
        napi_set_element(env, result, i, own ? argv[op.writes[i]] : fromIValue(addon, std::move(stack[i])));
      }
    }
    stack.clear();
    return result;
  } catch (...) {
    throwCurrent(addon, op.name, describeArguments(op, argc, argv));
    stack.clear();
    return nullptr;
  }
}

static napi_value resolve(Call& call) {
  const std::string name = readString(call.env, call.argv[0], "name");
  const std::string overload = readString(call.env, call.argv[1], "overload");
  if (name.rfind("reanchor::", 0) == 0) registerCustomOps();
  auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name.c_str(), overload.c_str());
  auto op = std::make_unique<Op>(Op{&call.addon, handle, overload.empty() ? name : name + "." + overload, {}, {}});
  const auto& schema = handle.schema();
  for (const auto& a : schema.arguments()) {
    Argument argument{};
    argument.kind = kindOf(a, argument.optional);
    argument.has_default = a.default_value().has_value();
    if (argument.has_default) argument.default_value = *a.default_value();
    argument.repeat = a.N() ? *a.N() : 0;
    argument.name = a.name();
    argument.type = a.real_type()->str();
    op->arguments.push_back(std::move(argument));
  }
  for (const auto& r : schema.returns()) {
    int target = -1;
    if (r.alias_info() && r.alias_info()->isWrite() && r.type()->kind() == c10::TypeKind::TensorType) {
      for (size_t i = 0; i < schema.arguments().size(); i++) {
        const auto* alias = schema.arguments()[i].alias_info();
        if (alias && alias->isWrite() && alias->beforeSets() == r.alias_info()->beforeSets())
          target = static_cast<int>(i);
      }
    }
    op->writes.push_back(target);
  }
  napi_value function;
  napi_create_function(call.env, op->name.c_str(), op->name.size(), callOp, op.get(), &function);
  call.addon.ops.push_back(std::move(op));
  return function;
}

// Every schema that libtorch knows, as text, one a line.
static napi_value schemas(Call& call) {
  registerCustomOps();
  std::string text;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    auto handle = c10::Dispatcher::singleton().findSchema(name);
    if (handle) text += c10::toString(handle->schema()) + "\n";
  }
  return makeString(call.env, text);
}

static napi_value schema(Call& call) {
  const std::string name = readString(call.env, call.argv[0], "name");
  const std::string overload = readString(call.env, call.argv[1], "overload");
  if (name.rfind("reanchor::", 0) == 0) registerCustomOps();
  auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  return handle ? makeString(call.env, c10::toString(handle->schema())) : undefined(call.env);
}

static napi_value setErrorFactory(Call& call) {
  if (call.addon.error_factory) napi_delete_reference(call.env, call.addon.error_factory);
  napi_create_reference(call.env, call.argv[0], 1, &call.addon.error_factory);
  return nullptr;
}

static napi_value dispose(Call& call) {
  double handle;
  if (napi_get_value_double(call.env, call.argv[0], &handle) != napi_ok) return nullptr;
  const size_t bytes = call.addon.handles.drop(handle);
  if (bytes) reportExternal(call.addon, -static_cast<int64_t>(bytes));
  return nullptr;
}

// disposeMany(Float64Array of handles, count)
static napi_value disposeMany(Call& call) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(call.env, call.argv[0], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array) {
    throw BadArgument{"takes a Float64Array of handles"};
  }
  const auto* handles = static_cast<const double*>(data);
  const size_t count = std::min(length, static_cast<size_t>(readNumber(call.env, call.argv[1], "count")));
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += call.addon.handles.drop(handles[i]);
  if (bytes) reportExternal(call.addon, -static_cast<int64_t>(bytes));
  return nullptr;
}

// Tells V8 how many bytes hang on this handle, for tensors that only the garbage collector will free.
static napi_value track(Call& call) {
  Slot* slot = call.addon.handles.slot(readNumber(call.env, call.argv[0], "handle"));
  if (!slot || slot->external_bytes || !slot->tensor.has_storage()) return nullptr;
  const auto& storage = slot->tensor.storage();
  if (slot->tensor.device().is_meta() || storage.use_count() > 1) return nullptr;
  slot->external_bytes = storage.nbytes();
  reportExternal(call.addon, static_cast<int64_t>(slot->external_bytes));
  return nullptr;
}

static void finalize(napi_env env, void* data, void*) {
  auto* addon = static_cast<Addon*>(data);
  int64_t total;
  napi_adjust_external_memory(env, addon->external_pending - addon->external_total, &total);
  delete addon;
}

static napi_value init(napi_env env, napi_value exports) {
  auto* addon = new Addon();
  addon->env = env;
  napi_set_instance_data(env, addon, finalize, nullptr);
  addon->stack.reserve(48);

  napi_value buffer, array;
  void* memory;
  napi_create_arraybuffer(env, kBufferLength * sizeof(double), &memory, &buffer);
  addon->buffer = static_cast<double*>(memory);
  napi_create_typedarray(env, napi_float64_array, kBufferLength, buffer, 0, &array);
  napi_create_reference(env, array, 1, &addon->buffer_ref);
  napi_set_named_property(env, exports, "buffer", array);

  define(*addon, exports, "resolve", resolve);
  define(*addon, exports, "schemas", schemas);
  define(*addon, exports, "schema", schema);
  define(*addon, exports, "setErrorFactory", setErrorFactory);
  define(*addon, exports, "dispose", dispose);
  define(*addon, exports, "disposeMany", disposeMany);
  define(*addon, exports, "track", track);
  defineTensor(*addon, exports);
  defineGrad(*addon, exports);
  defineRuntime(*addon, exports);
  defineProfile(*addon, exports);
  defineDistributed(*addon, exports);
  defineDeviceKernels(*addon, exports);
  defineHostCopies(*addon, exports);
  return exports;
}

}  // namespace reanchor

NAPI_MODULE_INIT() {
  return reanchor::init(env, exports);
}
