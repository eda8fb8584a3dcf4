// JavaScript values to IValues by the schema's argument types, and back.
#include "addon.h"

#include <ATen/core/List.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <c10/core/ScalarType.h>

#include <cmath>
#include <optional>

namespace reanchor {

static const char* typeName(napi_env env, napi_value value) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  bool array = false;
  napi_is_array(env, value, &array);
  if (array) return "an array";
  switch (type) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return "a boolean";
    case napi_number: return "a number";
    case napi_string: return "a string";
    case napi_bigint: return "a bigint";
    case napi_function: return "a function";
    default: return "an object";
  }
}

[[noreturn]] static void mismatch(napi_env env, const char* what, const char* expected, napi_value value) {
  throw BadArgument{std::string("'") + what + "' must be " + expected + ", got " + typeName(env, value)};
}

bool isMissing(napi_env env, napi_value value) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  return type == napi_undefined || type == napi_null;
}

double readNumber(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) mismatch(env, what, "a number", value);
  return number;
}

bool readBool(napi_env env, napi_value value, bool fallback) {
  bool flag;
  return napi_get_value_bool(env, value, &flag) == napi_ok ? flag : fallback;
}

std::string readString(napi_env env, napi_value value, const char* what) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) mismatch(env, what, "a string", value);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

// A device is a string, or type * 256 + index + 1.
c10::Device readDevice(napi_env env, napi_value value, const char* what) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok) {
    const int code = static_cast<int>(number);
    return c10::Device(static_cast<c10::DeviceType>(code / 256), static_cast<c10::DeviceIndex>(code % 256 - 1));
  }
  return c10::Device(readString(env, value, what));
}

at::ScalarType readDType(napi_env env, napi_value value, const char* what) {
  const double code = readNumber(env, value, what);
  if (!(code >= 0 && code < static_cast<double>(at::ScalarType::NumOptions))) throw BadArgument{"unknown dtype code"};
  return static_cast<at::ScalarType>(code);
}

const at::Tensor& readTensor(Addon& addon, napi_value value, const char* what) {
  double handle;
  if (napi_get_value_double(addon.env, value, &handle) != napi_ok) mismatch(addon.env, what, "a tensor", value);
  return addon.handles.get(handle, what);
}

static int64_t asInteger(double number, const char* what) {
  if (number != std::trunc(number) || std::abs(number) > 9007199254740992.0) {
    throw BadArgument{std::string("'") + what + "' must be an integer, got " + std::to_string(number)};
  }
  return static_cast<int64_t>(number);
}

// Integers travel as int64 and all else as double, as a Python literal would; -0 stays a double.
static at::IValue numberToIValue(double number) {
  if (number == std::trunc(number) && std::abs(number) < 9007199254740992.0 && !(number == 0 && std::signbit(number))) {
    return at::IValue(static_cast<int64_t>(number));
  }
  return at::IValue(number);
}

static std::optional<int64_t> readBigInt(napi_env env, napi_value value, const char* what) {
  int64_t integer;
  bool lossless;
  if (napi_get_value_bigint_int64(env, value, &integer, &lossless) != napi_ok) return std::nullopt;
  if (!lossless) throw BadArgument{std::string("'") + what + "' does not fit in 64 bits"};
  return integer;
}

Numbers readNumbers(Addon& addon, napi_value value, const char* what) {
  napi_env env = addon.env;
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok) {
    if (number >= kListBase) {
      const auto code = static_cast<uint64_t>(number - kListBase);
      const size_t offset = code / kListSpan, length = code % kListSpan;
      if (offset + length > kBufferLength) throw BadArgument{std::string("'") + what + "' is not a list"};
      return {addon.buffer + offset, length, false};
    }
    addon.scratch.assign(1, number);
    return {addon.scratch.data(), 1, true};
  }
  bool flag = false;
  addon.scratch.clear();
  napi_is_typedarray(env, value, &flag);
  if (flag) {
    napi_typedarray_type type;
    size_t length;
    void* data;
    napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr);
    if (type == napi_float64_array) return {static_cast<const double*>(data), length, false};
    if (type != napi_int32_array) mismatch(env, what, "an array, Float64Array or Int32Array", value);
    const auto* ints = static_cast<const int32_t*>(data);
    addon.scratch.assign(ints, ints + length);
    return {addon.scratch.data(), length, false};
  }
  napi_is_array(env, value, &flag);
  if (!flag) mismatch(env, what, "an array", value);
  uint32_t length;
  napi_get_array_length(env, value, &length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    napi_get_element(env, value, i, &element);
    addon.scratch.push_back(readNumber(env, element, what));
  }
  return {addon.scratch.data(), length, false};
}

std::vector<at::Tensor> readTensors(Addon& addon, napi_value value, const char* what) {
  const Numbers handles = readNumbers(addon, value, what);
  std::vector<at::Tensor> tensors;
  tensors.reserve(handles.size);
  for (size_t i = 0; i < handles.size; i++) {
    if (handles.data[i] == 0) {
      tensors.emplace_back();
    } else {
      tensors.push_back(addon.handles.get(handles.data[i], what));
    }
  }
  return tensors;
}

static at::IValue numberList(Addon& addon, Argument& argument, napi_value value) {
  constexpr size_t kCached = 8;
  const char* what = argument.name.c_str();
  const Numbers numbers = readNumbers(addon, value, what);
  auto& cached = argument.cached_numbers;
  if (!numbers.single && numbers.size == cached.size() && argument.cached_list.isList() &&
      std::equal(cached.begin(), cached.end(), numbers.data)) {
    return argument.cached_list;
  }
  const size_t size = numbers.single && argument.repeat > 1 ? argument.repeat : numbers.size;
  const auto at = [&](size_t i) { return numbers.data[numbers.single ? 0 : i]; };
  at::IValue result;
  if (argument.kind == Kind::IntList) {
    c10::List<int64_t> list;
    list.reserve(size);
    for (size_t i = 0; i < size; i++) list.push_back(asInteger(at(i), what));
    result = std::move(list);
  } else if (argument.kind == Kind::FloatList) {
    c10::List<double> list;
    list.reserve(size);
    for (size_t i = 0; i < size; i++) list.push_back(at(i));
    result = std::move(list);
  } else if (argument.kind == Kind::BoolList) {
    c10::List<bool> list;
    list.reserve(size);
    for (size_t i = 0; i < size; i++) list.push_back(at(i) != 0);
    result = std::move(list);
  } else {
    c10::impl::GenericList list(c10::NumberType::get());
    list.reserve(size);
    for (size_t i = 0; i < size; i++) list.push_back(numberToIValue(at(i)));
    return list;  // not cached: 0 and -0 compare equal
  }
  if (!numbers.single && numbers.size <= kCached) {
    cached.assign(numbers.data, numbers.data + numbers.size);
    argument.cached_list = result;
  }
  return result;
}

static at::IValue tensorList(Addon& addon, const Argument& argument, napi_value value) {
  const char* what = argument.name.c_str();
  const Numbers handles = readNumbers(addon, value, what);
  if (handles.single) mismatch(addon.env, what, "an array of tensors", value);
  if (argument.kind == Kind::TensorList) {
    c10::List<at::Tensor> list;
    list.reserve(handles.size);
    for (size_t i = 0; i < handles.size; i++) list.push_back(addon.handles.get(handles.data[i], what));
    return list;
  }
  c10::impl::GenericList list(c10::OptionalType::create(c10::TensorType::get()));
  list.reserve(handles.size);
  for (size_t i = 0; i < handles.size; i++) {
    list.push_back(handles.data[i] == 0 ? at::IValue() : at::IValue(addon.handles.get(handles.data[i], what)));
  }
  return list;
}

static at::IValue missing(const Argument& argument) {
  if (argument.has_default) return argument.default_value;
  if (argument.optional) return {};
  if (argument.kind == Kind::Tensor) return at::Tensor();
  throw BadArgument{"argument '" + argument.name + "' (" + argument.type + ") is missing"};
}

at::IValue toIValue(Addon& addon, Argument& argument, napi_value value) {
  napi_env env = addon.env;
  const char* what = argument.name.c_str();
  // Arguments that may be left out mostly are: ask for undefined first there, and for the value first elsewhere.
  const bool omittable = argument.has_default || (argument.optional && argument.kind != Kind::Tensor);
  if (omittable && isMissing(env, value)) return missing(argument);
  double number = 0;
  const bool is_number = argument.kind != Kind::Bool && napi_get_value_double(env, value, &number) == napi_ok;
  if (!is_number && !omittable && argument.kind != Kind::Bool && isMissing(env, value)) return missing(argument);
  switch (argument.kind) {
    case Kind::Tensor:
      if (!is_number) mismatch(env, what, "a tensor", value);
      return addon.handles.get(number, what);
    case Kind::Scalar: {
      if (is_number) return numberToIValue(number);
      bool flag;
      if (napi_get_value_bool(env, value, &flag) == napi_ok) return flag;
      if (auto integer = readBigInt(env, value, what)) return *integer;
      mismatch(env, what, "a number", value);
    }
    case Kind::Int:
      if (is_number) return asInteger(number, what);
      if (auto integer = readBigInt(env, value, what)) return *integer;
      mismatch(env, what, "an integer", value);
    case Kind::Float:
      if (!is_number) mismatch(env, what, "a number", value);
      return number;
    case Kind::IntList:
    case Kind::FloatList:
    case Kind::BoolList:
    case Kind::ScalarList: return numberList(addon, argument, value);
    case Kind::TensorList:
    case Kind::OptionalTensorList: return tensorList(addon, argument, value);
    case Kind::DType: return static_cast<int64_t>(readDType(env, value, what));
    case Kind::Device: return readDevice(env, value, what);
    case Kind::Str:
    case Kind::Any: return readString(env, value, what);
    case Kind::Bool: {
      bool flag;
      if (napi_get_value_bool(env, value, &flag) == napi_ok) return flag;
      if (isMissing(env, value)) return missing(argument);
      mismatch(env, what, "a boolean", value);
    }
    case Kind::Other: break;
  }
  throw BadArgument{"argument '" + argument.name + "' has type " + argument.type + ", which has no JavaScript form"};
}

napi_value fromIValue(Addon& addon, at::IValue&& value) {
  napi_env env = addon.env;
  napi_value result;
  if (value.isTensor()) return makeHandle(addon, std::move(value).toTensor());
  if (value.isNone()) return undefined(env);
  if (value.isBool()) {
    napi_get_boolean(env, value.toBool(), &result);
    return result;
  }
  if (value.isInt()) return makeNumber(env, static_cast<double>(value.toInt()));
  if (value.isDouble()) return makeNumber(env, value.toDouble());
  if (value.isString()) return makeString(env, value.toStringRef());
  if (value.isList()) {
    const auto list = value.toListRef();
    napi_create_array_with_length(env, list.size(), &result);
    for (size_t i = 0; i < list.size(); i++) {
      napi_set_element(env, result, i, fromIValue(addon, at::IValue(list[i])));
    }
    return result;
  }
  throw BadArgument{"returns " + value.tagKind() + ", which has no JavaScript form"};
}

Kind kindOf(const c10::Argument& argument, bool& optional) {
  c10::TypePtr type = argument.real_type();
  optional = type->kind() == c10::TypeKind::OptionalType;
  if (optional) type = type->castRaw<c10::OptionalType>()->getElementType();
  switch (type->kind()) {
    case c10::TypeKind::TensorType: return Kind::Tensor;
    case c10::TypeKind::NumberType: return Kind::Scalar;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType: return Kind::Int;
    case c10::TypeKind::LayoutType:
    case c10::TypeKind::MemoryFormatType: return Kind::Int;
    case c10::TypeKind::FloatType: return Kind::Float;
    case c10::TypeKind::BoolType: return Kind::Bool;
    case c10::TypeKind::ScalarTypeType: return Kind::DType;
    case c10::TypeKind::DeviceObjType: return Kind::Device;
    case c10::TypeKind::StringType: return Kind::Str;
    case c10::TypeKind::AnyType: return Kind::Any;
    case c10::TypeKind::ListType: {
      const auto& element = *type->castRaw<c10::ListType>()->getElementType();
      switch (element.kind()) {
        case c10::TypeKind::TensorType: return Kind::TensorList;
        case c10::TypeKind::OptionalType: return Kind::OptionalTensorList;
        case c10::TypeKind::IntType:
        case c10::TypeKind::SymIntType: return Kind::IntList;
        case c10::TypeKind::FloatType: return Kind::FloatList;
        case c10::TypeKind::BoolType: return Kind::BoolList;
        case c10::TypeKind::NumberType: return Kind::ScalarList;
        default: return Kind::Other;
      }
    }
    default: return Kind::Other;
  }
}

std::string describe(const at::Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  static const char* const names[] = {"uint8",   "int8",    "int16",     "int32",     "int64",      "float16",
                                      "float32", "float64", "complex32", "complex64", "complex128", "bool"};
  const auto type = static_cast<size_t>(tensor.scalar_type());
  std::string text;
  if (type < std::size(names)) {
    text = names[type];
  } else {
    text = tensor.scalar_type() == at::kBFloat16 ? "bfloat16" : c10::toString(tensor.scalar_type());
  }
  text += "[";
  for (int64_t i = 0; i < tensor.dim(); i++) text += (i ? ", " : "") + std::to_string(tensor.size(i));
  return text + "]" + (tensor.is_cpu() ? "" : " on " + tensor.device().str());
}

}  // namespace reanchor
