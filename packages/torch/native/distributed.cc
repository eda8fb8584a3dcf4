// Process groups of torch.distributed (c10d): stores, groups by name, and memory that comes and goes. The collectives
// are plain operators (_c10d_functional::*), which find a group by its name, so that nothing of them stands here.
#include "addon.h"

#define USE_C10D_GLOO
#include <netdb.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/GroupRegistry.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#if defined(REANCHOR_NCCL)
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <thread>

namespace reanchor {

using c10d::ProcessGroup;
using StorePointer = c10::intrusive_ptr<c10d::Store>;
using GroupPointer = c10::intrusive_ptr<ProcessGroup>;

// What is open in this process, for all its threads. c10d's own registry holds groups weakly. Never destroyed: a group
// that is still open when the process ends would wait for its peers.
struct Open {
  std::mutex mutex;
  int64_t stores_so_far = 0;
  std::map<int64_t, StorePointer> stores;
  std::map<std::string, GroupPointer> groups;
  // gloo's listeners by their addresses, each with a thread: the groups of a process share them.
  std::map<std::string, std::shared_ptr<gloo::transport::Device>> listeners;
};

static Open& open() {
  static auto* const all = new Open();
  return *all;
}

static std::chrono::milliseconds readMilliseconds(Call& call, int index) {
  return std::chrono::milliseconds(static_cast<int64_t>(readNumber(call.env, call.argv[index], "timeoutMs")));
}

// ---- stores

static napi_value addStore(Call& call, StorePointer store) {
  std::lock_guard<std::mutex> lock(open().mutex);
  const int64_t id = ++open().stores_so_far;
  open().stores[id] = std::move(store);
  return makeNumber(call.env, static_cast<double>(id));
}

static StorePointer storeOf(Call& call) {
  const auto id = static_cast<int64_t>(readNumber(call.env, call.argv[0], "store"));
  std::lock_guard<std::mutex> lock(open().mutex);
  const auto found = open().stores.find(id);
  if (found == open().stores.end()) throw BadArgument{"the store was closed"};
  return found->second;
}

// Asks a store on a thread of its own, since c10d waits for an answer without end: from a host that is gone, or from
// something that listens and is no store. What `ask` needs it owns; the thread stays behind where no answer comes.
template <typename Answer>
static Answer askInTime(std::chrono::milliseconds timeout, std::function<Answer()> ask) {
  auto task = std::make_shared<std::packaged_task<Answer()>>(std::move(ask));
  auto answer = task->get_future();
  std::thread([task] { (*task)(); }).detach();
  if (answer.wait_for(timeout) == std::future_status::ready) return answer.get();
  throw BadArgument{"it did not answer within " + std::to_string(timeout.count()) + " ms"};
}

// A socket bound to one address. TCPStore itself would listen on every address of the machine.
static int bindSocket(const std::string& host, uint16_t& port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const int problem = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (problem != 0) throw BadArgument{"the host " + host + " has no address: " + gai_strerror(problem)};
  const int one = 1;
  const int handle = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  auto* address = reinterpret_cast<sockaddr*>(&bound);
  const bool done = handle >= 0 && setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
                    bind(handle, found->ai_addr, found->ai_addrlen) == 0 &&
                    getsockname(handle, address, &length) == 0;
  const int error = errno;
  freeaddrinfo(found);
  if (!done) {
    if (handle >= 0) close(handle);
    throw BadArgument{"cannot listen on port " + std::to_string(port) + " of " + host + ": " + std::strerror(error)};
  }
  char name[NI_MAXSERV];
  getnameinfo(address, length, nullptr, 0, name, sizeof name, NI_NUMERICSERV);
  port = static_cast<uint16_t>(std::stoi(name));
  return handle;
}

// openTcpStore(host, port, isServer, timeoutMs): a store, known by a number. Nobody is waited for.
static napi_value openTcpStore(Call& call) {
  const std::string host = readString(call.env, call.argv[0], "host");
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(readNumber(call.env, call.argv[1], "port"));
  options.isServer = readBool(call.env, call.argv[2], false);
  options.timeout = readMilliseconds(call, 3);
  options.waitWorkers = false;
  options.useLibUV = false;  // libtorch's own libuv is not Node's
  if (options.isServer) options.masterListenFd = bindSocket(host, options.port);
  return addStore(call, askInTime<StorePointer>(options.timeout, [host, options] {
                    return c10::make_intrusive<c10d::TCPStore>(host, options);
                  }));
}

static napi_value tcpStorePort(Call& call) {
  const auto store = storeOf(call);
  return makeNumber(call.env, static_cast<c10d::TCPStore&>(*store).getPort());
}

// openFileStore(path, timeoutMs). The number of processes would only decide who removes the file: nobody.
static napi_value openFileStore(Call& call) {
  auto store = c10::make_intrusive<c10d::FileStore>(readString(call.env, call.argv[0], "path"), -1);
  store->setTimeout(readMilliseconds(call, 1));
  return addStore(call, store);
}

static napi_value closeStore(Call& call) {
  const auto id = static_cast<int64_t>(readNumber(call.env, call.argv[0], "store"));
  StorePointer doomed;  // destroyed after the lock is given back: a server joins its thread
  std::lock_guard<std::mutex> lock(open().mutex);
  const auto found = open().stores.find(id);
  if (found == open().stores.end()) return nullptr;
  doomed = std::move(found->second);
  open().stores.erase(found);
  return nullptr;
}

static napi_value storeSet(Call& call) {
  storeOf(call)->set(readString(call.env, call.argv[1], "key"), readString(call.env, call.argv[2], "text"));
  return nullptr;
}

// storeGet(store, key): waits until some process has set the key, as long as the store's timeout
static napi_value storeGet(Call& call) {
  const auto ask = [store = storeOf(call), key = readString(call.env, call.argv[1], "key")] {
    return store->get_to_str(key);
  };
  return makeString(call.env, askInTime<std::string>(storeOf(call)->getTimeout(), ask));
}

static napi_value storeHas(Call& call) {
  const auto ask = [store = storeOf(call), key = readString(call.env, call.argv[1], "key")] {
    return store->check({key});
  };
  napi_value result;
  napi_get_boolean(call.env, askInTime<bool>(storeOf(call)->getTimeout(), ask), &result);
  return result;
}

static napi_value storeAdd(Call& call) {
  const auto amount = static_cast<int64_t>(readNumber(call.env, call.argv[2], "amount"));
  const auto ask = [store = storeOf(call), key = readString(call.env, call.argv[1], "key"), amount] {
    return store->add(key, amount);
  };
  return makeNumber(call.env, static_cast<double>(askInTime<int64_t>(storeOf(call)->getTimeout(), ask)));
}

// ---- groups

// gloo's backend, whose connections can be cut while calls are under way: peers that wait for this rank notice at once.
class Gloo : public c10d::ProcessGroupGloo {
 public:
  using ProcessGroupGloo::ProcessGroupGloo;
  void abort() override {
    for (const auto& context : contexts_) context->closeConnections();
  }
};

static std::shared_ptr<gloo::transport::Device> listenerOn(const std::string& address) {
  std::lock_guard<std::mutex> lock(open().mutex);
  auto& listener = open().listeners[address];
  if (!listener) {
    listener = address.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                               : c10d::ProcessGroupGloo::createDeviceForHostname(address);
  }
  return listener;
}

static void addGloo(ProcessGroup& group, const StorePointer& store, std::chrono::milliseconds timeout,
                    const std::string& address) {
  auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  options->devices.push_back(listenerOn(address));
  auto gloo = c10::make_intrusive<Gloo>(store, group.getRank(), group.getSize(), options);
  group.setBackend(c10::DeviceType::CPU, ProcessGroup::BackendType::GLOO, gloo);
  group.setDefaultBackend(ProcessGroup::BackendType::GLOO);
}

#if defined(REANCHOR_NCCL)
static void addNccl(ProcessGroup& group, const StorePointer& store, std::chrono::milliseconds timeout,
                    c10::Device device) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  auto nccl = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, group.getRank(), group.getSize(), options);
  nccl->setBoundDeviceId(device);
  group.setBackend(c10::DeviceType::CUDA, ProcessGroup::BackendType::NCCL, nccl);
  group.setDefaultBackend(ProcessGroup::BackendType::NCCL);
}
#endif

// openGroup(name, store, backend, rank, world, timeoutMs, address, device): makes a group known to the collectives by
// its name. `address` is the local one that gloo listens on, empty for that of the machine's name; `device` is NCCL's.
static napi_value openGroup(Call& call) {
  const std::string name = readString(call.env, call.argv[0], "name");
  const std::string backend = readString(call.env, call.argv[2], "backend");
  const int rank = static_cast<int>(readNumber(call.env, call.argv[3], "rank"));
  const int world = static_cast<int>(readNumber(call.env, call.argv[4], "world"));
  {
    std::lock_guard<std::mutex> lock(open().mutex);
    if (open().groups.count(name)) throw BadArgument{"a group named " + name + " is open in this process"};
  }
  Call of_store{call.addon, call.env, call.argc, call.argv + 1};
  const StorePointer store = c10::make_intrusive<c10d::PrefixStore>(name, storeOf(of_store));
  auto group = c10::make_intrusive<ProcessGroup>(store, rank, world);
  if (backend == "gloo") {
    addGloo(*group, store, readMilliseconds(call, 5), readString(call.env, call.argv[6], "address"));
#if defined(REANCHOR_NCCL)
  } else if (backend == "nccl") {
    addNccl(*group, store, readMilliseconds(call, 5), readDevice(call.env, call.argv[7], "device"));
#endif
  } else {
    throw BadArgument{"the addon has no backend " + backend};
  }
  group->setGroupName(name);
  c10d::register_process_group(name, group);
  std::lock_guard<std::mutex> lock(open().mutex);
  open().groups[name] = group;
  return nullptr;
}

static GroupPointer groupOf(const std::string& name) {
  std::lock_guard<std::mutex> lock(open().mutex);
  const auto found = open().groups.find(name);
  return found == open().groups.end() ? nullptr : found->second;
}

// abortGroup(name): cuts its connections. What is under way fails, here and at the peers, and the group is only to be
// closed then.
static napi_value abortGroup(Call& call) {
  const auto group = groupOf(readString(call.env, call.argv[0], "name"));
  if (group) group->abort();
  return nullptr;
}

// closeGroup(name): waits for what is under way and closes the connections. Twice is harmless.
static napi_value closeGroup(Call& call) {
  const std::string name = readString(call.env, call.argv[0], "name");
  const auto group = groupOf(name);
  if (!group) return nullptr;
  {
    std::lock_guard<std::mutex> lock(open().mutex);
    open().groups.erase(name);
  }
  c10d::unregister_process_group(name);
  group->shutdown();
  return nullptr;
}

// backends(): the names of those that this addon was compiled with
static napi_value backends(Call& call) {
#if defined(REANCHOR_NCCL)
  return makeString(call.env, "gloo nccl");
#else
  return makeString(call.env, "gloo");
#endif
}

// ---- memory

// resizeStorage(tensor, bytes): gives a tensor's storage new memory of this size, or none for 0. Every view of it, and
// what autograd keeps of them, sees the new memory; values are lost. Without memory, an access is an error.
static napi_value resizeStorage(Call& call) {
  const at::Tensor& tensor = readTensor(call.addon, call.argv[0], "tensor");
  const auto bytes = static_cast<size_t>(readNumber(call.env, call.argv[1], "bytes"));
  auto* storage = tensor.storage().unsafeGetStorageImpl();
  if (storage->allocator() == nullptr) throw BadArgument{"the memory of this tensor is not libtorch's own"};
  storage->set_data_ptr_noswap(c10::DataPtr(nullptr, storage->device()));  // the old memory goes before the new comes
  storage->set_nbytes(bytes);
  if (bytes == 0) {
    storage->release_data_and_set_meta_custom_data_ptr_error_msg_(
        "the memory of this tensor was given back by resizeStorage(tensor, 0)");
    return nullptr;
  }
  storage->clear_data_ptr_access_error_msg_();
  storage->set_data_ptr_noswap(storage->allocator()->allocate(bytes));
  return nullptr;
}

static napi_value isContiguous(Call& call) {
  napi_value result;
  napi_get_boolean(call.env, readTensor(call.addon, call.argv[0], "tensor").is_contiguous(), &result);
  return result;
}

void defineDistributed(Addon& addon, napi_value exports) {
  define(addon, exports, "openTcpStore", openTcpStore);
  define(addon, exports, "tcpStorePort", tcpStorePort);
  define(addon, exports, "openFileStore", openFileStore);
  define(addon, exports, "closeStore", closeStore);
  define(addon, exports, "storeSet", storeSet);
  define(addon, exports, "storeGet", storeGet);
  define(addon, exports, "storeHas", storeHas);
  define(addon, exports, "storeAdd", storeAdd);
  define(addon, exports, "openGroup", openGroup);
  define(addon, exports, "abortGroup", abortGroup);
  define(addon, exports, "closeGroup", closeGroup);
  define(addon, exports, "backends", backends);
  define(addon, exports, "resizeStorage", resizeStorage);
  define(addon, exports, "isContiguous", isContiguous);
}

}  // namespace reanchor
