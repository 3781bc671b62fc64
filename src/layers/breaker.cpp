#include <flux/cache/layers/breaker.hpp>

#include <atomic>

#include "core/fork_guard.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

class BreakerStore final : public Decorator, private detail::ForkGuard {
 public:
  BreakerStore(StorePtr inner, const BreakerOptions& options) : Decorator(std::move(inner)), breaker_(options) {
    enlist();
  }
  ~BreakerStore() override { delist(); }

  Traits traits() const noexcept override { return inner().traits(); }
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return guarded("get", [&] { return inner().get(key, how, found); });
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return guarded("put", [&] { return inner().put(key, entry, how); });
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    return guarded("forget", [&] { return inner().forget(key, how); });
  }
  Result<void> flush(const Scope& scope) override {
    return guarded("flush", [&] { return inner().flush(scope); });
  }
  Result<bool> has(const Key& key) override {
    return guarded("has", [&] { return inner().has(key); });
  }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    return guarded("pull", [&] { return inner().pull(key, how, found); });
  }
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    return guarded("touch", [&] { return inner().touch(key, expiry); });
  }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return guarded("increment", [&] { return inner().increment(key, by, if_new); });
  }
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    return guarded("many", [&] { return inner().get_many(keys, how, found); });
  }
  Result<BatchWritten> put_many(std::span<const Item> items) override {
    return guarded("put_many", [&] { return inner().put_many(items); });
  }
  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    return guarded("forget_many", [&] { return inner().forget_many(keys); });
  }
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    return guarded("epochs", [&] { return inner().epochs(tags); });
  }

 private:
  template <class Call>
  auto guarded(const char* operation, Call call) -> decltype(call()) {
    const CircuitBreaker::Pass pass = breaker_.enter();
    if (!pass)
      return Error{refusal_.load(std::memory_order_relaxed), "the circuit breaker is open",
                   std::string(inner().traits().kind), operation};
    // What is thrown is the receiver's, and so the store has answered: a probe that ends so is over, too.
    struct Ended {
      CircuitBreaker& breaker;
      const CircuitBreaker::Pass pass;
      bool is_failure = false;
      ~Ended() { is_failure ? breaker.fail(pass) : breaker.succeed(pass); }
    } ended{breaker_, pass};
    auto answer = call();
    if (answer.ok() || !is_transient(answer.error().code)) return answer;
    // A timeout would say that a write may have happened: nothing is sent while the breaker is open.
    const bool is_away = answer.error().code == Errc::unavailable;
    refusal_.store(is_away ? Errc::unavailable : Errc::rejected, std::memory_order_relaxed);
    ended.is_failure = true;
    return answer;
  }

  bool try_before_fork() noexcept override { return true; }
  void after_fork(bool in_child) noexcept override {
    if (in_child) breaker_.reset();  // whose probe was under way is not here, and nobody else would be let in
  }

  CircuitBreaker breaker_;
  std::atomic<Errc> refusal_{Errc::rejected};
};

}  // namespace

StorePtr make_breaker(StorePtr inner, const BreakerOptions& options) {
  return std::make_shared<BreakerStore>(std::move(inner), options);
}

}  // namespace v1
}  // namespace flux::cache
