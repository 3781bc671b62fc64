#include <flux/cache/backplane.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {

Backplane::~Backplane() = default;

namespace {

/// One who listens; calls one at a time, and may be ended from inside a call.
struct Ear {
  std::recursive_mutex calling;
  BackplaneListener listener;
  std::atomic<bool> ended{false};

  void hear(std::string_view message) {
    const std::scoped_lock guard(calling);
    if (!ended && listener.heard) listener.heard(message);
  }
  void tell(bool connected) {
    const std::scoped_lock guard(calling);
    if (!ended && listener.connection) listener.connection(connected);
  }
};

class NodeOfHub;

}  // namespace

struct InProcessBackplane::Hub {
  std::mutex mutex;
  std::vector<std::weak_ptr<NodeOfHub>> nodes;
  std::atomic<std::size_t> messages{0};

  void send(std::string_view message);
};

namespace {

class NodeOfHub final : public InProcessBackplane::Node {
 public:
  explicit NodeOfHub(std::function<void(std::string_view)> send) : send_(std::move(send)) {}

  bool publish(std::string_view message) override {
    if (!connected_.load(std::memory_order_acquire)) return false;
    send_(message);
    return true;
  }
  std::shared_ptr<void> subscribe(BackplaneListener listener) override {
    auto ear = std::make_shared<Ear>();
    ear->listener = std::move(listener);
    {
      const std::scoped_lock guard(mutex_);
      ears_.push_back(ear);
    }
    ear->tell(connected_.load(std::memory_order_acquire));
    return std::shared_ptr<void>(ear.get(), [ear](void*) {
      const std::scoped_lock guard(ear->calling);
      ear->ended = true;
    });
  }
  void connect(bool connected) override {
    if (connected_.exchange(connected, std::memory_order_acq_rel) == connected) return;
    for (const auto& ear : ears()) ear->tell(connected);
  }
  void deliver(std::string_view message) {
    if (!connected_.load(std::memory_order_acquire)) return;
    for (const auto& ear : ears()) ear->hear(message);
  }

 private:
  std::vector<std::shared_ptr<Ear>> ears() {
    const std::scoped_lock guard(mutex_);
    std::erase_if(ears_, [](const auto& ear) { return ear->ended.load(); });
    return ears_;
  }

  const std::function<void(std::string_view)> send_;
  std::atomic<bool> connected_{true};
  std::mutex mutex_;
  std::vector<std::shared_ptr<Ear>> ears_;
};

}  // namespace

void InProcessBackplane::Hub::send(std::string_view message) {
  std::vector<std::shared_ptr<NodeOfHub>> all;
  {
    const std::scoped_lock guard(mutex);
    for (const auto& node : nodes)
      if (auto alive = node.lock()) all.push_back(std::move(alive));
  }
  messages.fetch_add(1, std::memory_order_relaxed);
  for (const auto& node : all) node->deliver(message);
}

InProcessBackplane::InProcessBackplane() : hub_(std::make_shared<Hub>()) {}
InProcessBackplane::~InProcessBackplane() = default;

std::shared_ptr<InProcessBackplane::Node> InProcessBackplane::node() {
  auto node = std::make_shared<NodeOfHub>([hub = hub_](std::string_view message) { hub->send(message); });
  const std::scoped_lock guard(hub_->mutex);
  std::erase_if(hub_->nodes, [](const auto& gone) { return gone.expired(); });
  hub_->nodes.push_back(node);
  return node;
}

void InProcessBackplane::inject(std::string_view bytes) { hub_->send(bytes); }
std::size_t InProcessBackplane::messages() const { return hub_->messages.load(std::memory_order_relaxed); }

}  // namespace v1
}  // namespace flux::cache
