#include <flux/cache/layers/owing.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/fork_guard.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

/// Flushes of tags that are remembered; when there are more, all values go.
constexpr std::size_t kMostScopes = 64;
/// Keys that are paid for in one call.
constexpr std::size_t kSlice = 1024;
/// A payment that fails sooner leaves a call enough of its time to be made all the same.
constexpr auto kSoon = std::chrono::milliseconds(5);
/// Of servers that may be away one by one, where a payment took long in vain: until the next one, or as long as it
/// took.
constexpr auto kRespite = std::chrono::milliseconds(100);
/// Between two looks whether somebody has paid.
constexpr auto kPause = std::chrono::microseconds(200);

bool is_value(const Key& key) noexcept { return key.space() == Space::values; }

/// What must not be seen again.
struct Debts {
  std::set<std::string, std::less<>> keys{};
  std::set<std::pair<bool, std::vector<std::string>>> scopes{};  // any of the tags, or all of them
  bool all = false;

  bool empty() const noexcept { return keys.empty() && scopes.empty() && !all; }
  /// May the key be among it? Which tags an entry carries is not known.
  bool concerns(std::string_view key) const { return all || !scopes.empty() || keys.contains(key); }
  /// Takes the other's over. Allocates nothing, and takes as long as the smaller of both.
  void merge(Debts& other) noexcept {
    if (keys.size() < other.keys.size()) keys.swap(other.keys);
    if (scopes.size() < other.scopes.size()) scopes.swap(other.scopes);
    keys.merge(other.keys);
    scopes.merge(other.scopes);
    all = all || std::exchange(other.all, false);
    other.keys.clear();
    other.scopes.clear();
  }
};

class OwingStore final : public Decorator, private detail::ForkGuard {
  using Steady = std::chrono::steady_clock;

 public:
  OwingStore(StorePtr inner, const OwingOptions& options)
      : Decorator(std::move(inner)),
        max_keys_(std::max<std::size_t>(options.max_keys, 1)),
        is_spread_(this->inner().traits().spread) {
    enlist();
  }
  ~OwingStore() override { delist(); }

  Traits traits() const noexcept override { return inner().traits(); }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    if (auto why = settle({&key, 1}, "get")) return Result<bool>(std::move(why));
    return inner().get(key, how, found);
  }
  Result<Got> get_value(const Key& key, const ValueRead& how) override {
    if (auto why = settle({&key, 1}, "get")) return Result<Got>(std::move(why));
    return inner().get_value(key, how);
  }
  Result<bool> has(const Key& key) override {
    if (auto why = settle({&key, 1}, "has")) return Result<bool>(std::move(why));
    return inner().has(key);
  }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    if (auto why = settle({&key, 1}, "pull")) return Result<bool>(std::move(why));
    return inner().pull(key, how, found);
  }
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    if (auto why = settle({&key, 1}, "touch")) return Result<bool>(std::move(why));
    return inner().touch(key, expiry);
  }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    if (auto why = settle({&key, 1}, "increment")) return Result<std::int64_t>(std::move(why));
    return inner().increment(key, by, if_new);
  }
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    if (auto why = settle(keys, "get_many")) return Result<void>(std::move(why));
    return inner().get_many(keys, how, found);
  }
  Result<void> scan(Space space, Visitor visit) override {
    if (auto why = space == Space::values ? settle_all("scan") : nullptr) return Result<void>(std::move(why));
    return inner().scan(space, visit);
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    auto done = [&]() -> Result<bool> {
      if (auto why = settle({&key, 1}, "put")) return Result<bool>(std::move(why));
      return inner().put(key, entry, how);
    }();
    if (!done.ok() && how.when == When::always && is_transient(done.error().code)) owe({&key, 1});
    return done;
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    auto done = [&]() -> Result<bool> {
      if (auto why = settle({&key, 1}, "forget")) return Result<bool>(std::move(why));
      return inner().forget(key, how);
    }();
    if (!done.ok() && how.version == 0 && is_transient(done.error().code)) owe({&key, 1});
    return done;
  }
  Result<BatchWritten> put_many(std::span<const Item> items) override {
    std::vector<Key> keys;
    const auto all = [&] {
      for (const Item& item : items) keys.push_back(item.key);
      return std::span<const Key>(keys);
    };
    if (owes_.load(std::memory_order_acquire)) {
      if (auto why = settle(all(), "put_many")) {
        owe(keys);
        return Result<BatchWritten>(std::move(why));
      }
      keys.clear();
    }
    auto done = inner().put_many(items);
    if (!done.ok() && is_transient(done.error().code)) owe(all());
    if (done.ok() && done->error && is_transient(done->error->code)) {
      for (const std::size_t i : done->failed) keys.push_back(items[i].key);
      owe(keys);
    }
    return done;
  }
  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    auto done = [&]() -> Result<std::size_t> {
      if (auto why = settle(keys, "forget_many")) return Result<std::size_t>(std::move(why));
      return inner().forget_many(keys);
    }();
    if (!done.ok() && is_transient(done.error().code)) owe(keys);
    return done;
  }
  Result<void> flush(const Scope& scope) override {
    auto done = inner().flush(scope);
    if (done.ok() || !is_transient(done.error().code)) return done;
    const std::scoped_lock lock(mutex_);
    if (scope.tags.empty() || debts_.scopes.size() >= kMostScopes) {
      debts_.all = true;
    } else {
      debts_.scopes.emplace(scope.any, std::vector<std::string>(scope.tags.begin(), scope.tags.end()));
    }
    ++owings_;
    owes_.store(true, std::memory_order_release);
    return done;
  }

 private:
  /// Pays what is owed; where none of the keys is a value, that is left to others. An error: it is not paid, and one of
  /// the keys may be among it, or the store is still away. A store that refuses at once, since it takes no writes at
  /// present, may still be read: by those whom the debt does not concern.
  std::unique_ptr<Error> settle(std::span<const Key> keys, const char* operation) {
    if (!owes_.load(std::memory_order_acquire)) [[likely]]
      return nullptr;
    if (std::none_of(keys.begin(), keys.end(), is_value)) return nullptr;
    const auto is_concerned = [&](const Debts& debts) {
      return std::any_of(keys.begin(), keys.end(),
                         [&](const Key& key) { return is_value(key) && debts.concerns(key.text()); });
    };
    const auto begun = Steady::now();
    auto why = [&] {
      if (is_spread_) {
        std::unique_lock lock(mutex_);
        if (begun < next_payment_ && !is_paying_) {
          if (!is_concerned(debts_)) return std::unique_ptr<Error>();
          if (!debts_.all && debts_.scopes.empty()) return pay_own(keys, std::move(lock));
        }
      }
      return pay(is_concerned);
    }();
    if (!why) return nullptr;
    if (Steady::now() - begun < kSoon) {
      const std::scoped_lock lock(mutex_);
      if (!is_concerned(debts_) && !is_concerned(due_)) return nullptr;
    }
    why->operation = operation;
    if (keys.size() == 1) why->key = keys.front().text();
    return why;
  }
  std::unique_ptr<Error> settle_all(const char* operation) {
    auto why = owes_.load(std::memory_order_acquire) ? pay([](const Debts&) { return true; }) : nullptr;
    if (why) why->operation = operation;
    return why;
  }

  /// Of several servers one is away, and what is owed to it cannot be paid: so these keys alone are paid for.
  std::unique_ptr<Error> pay_own(std::span<const Key> keys, std::unique_lock<std::mutex> lock) {
    std::vector<Key> own;
    for (const Key& key : keys)
      if (is_value(key) && debts_.keys.contains(key.text())) own.push_back(key);
    const std::uint64_t owings = owings_;
    lock.unlock();
    if (own.size() == 1) {
      auto done = inner().forget(own.front(), {});
      if (has_failed(done)) return done.take_error();
    } else {
      auto done = inner().forget_many(own);
      if (has_failed(done)) return done.take_error();
    }
    lock.lock();
    if (owings != owings_ || is_paying_) return nullptr;  // it may be owed anew: then it is paid for once more
    for (const Key& key : own)
      if (const auto at = debts_.keys.find(key.text()); at != debts_.keys.end()) debts_.keys.erase(at);
    owes_.store(!debts_.empty(), std::memory_order_release);
    return nullptr;
  }

  /// One pays. Of the others those go on whom it does not concern; the rest wait, and have the same answer.
  template <class Concerned>
  std::unique_ptr<Error> pay(Concerned is_concerned) {
    std::unique_lock lock(mutex_);
    if (is_paying_) {
      if (!is_concerned(debts_) && !is_concerned(due_)) return nullptr;
      for (const std::uint64_t turn = turns_; is_paying_ && turn == turns_;) {
        lock.unlock();
        std::this_thread::sleep_for(kPause);
        lock.lock();
      }
      return why_ ? std::make_unique<Error>(*why_) : nullptr;
    }
    is_paying_ = true;
    std::swap(due_, debts_);
    lock.unlock();
    struct Ended {
      OwingStore& store;
      const Steady::time_point begun = Steady::now();
      std::unique_ptr<Error> why = std::make_unique<Error>(Error{Errc::unavailable, "a payment was given up"});
      ~Ended() { store.paid(why.get(), Steady::now() - begun); }
    } ended{*this};
    ended.why = carry_out(due_);
    return ended.why ? std::make_unique<Error>(*ended.why) : nullptr;
  }
  void paid(const Error* why, Steady::duration took) {
    const std::scoped_lock lock(mutex_);
    if (why != nullptr && took >= kSoon) next_payment_ = Steady::now() + std::max<Steady::duration>(took, kRespite);
    if (why != nullptr) {
      debts_.merge(due_);
    } else {
      due_ = {};
    }
    why_ = why != nullptr ? std::make_unique<Error>(*why) : nullptr;
    is_paying_ = false;
    ++turns_;
    owes_.store(!debts_.empty(), std::memory_order_release);
  }

  /// What the store does not do at all it will not do later either.
  template <class Done>
  static bool has_failed(const Done& done) {
    return !done.ok() && done.error().code != Errc::unsupported && done.error().code != Errc::prohibited;
  }

  std::unique_ptr<Error> carry_out(const Debts& due) {
    if (due.all) {
      auto done = inner().flush({});
      if (done.ok() || has_failed(done)) return done.take_error();
    }
    if (!due.keys.empty()) {
      // One alone at first: while the store is away, that costs the same however much is owed.
      auto first = inner().forget(Key(*due.keys.begin()), {});
      if (has_failed(first)) return first.take_error();
      const std::vector<Key> rest(std::next(due.keys.begin()), due.keys.end());
      for (std::size_t at = 0; at < rest.size(); at += kSlice) {
        auto done = inner().forget_many(std::span(rest).subspan(at, std::min(kSlice, rest.size() - at)));
        if (has_failed(done)) return done.take_error();
      }
    }
    for (const auto& [any, tags] : due.scopes) {
      const std::vector<std::string_view> names(tags.begin(), tags.end());
      auto done = inner().flush({names, any});
      if (has_failed(done)) return done.take_error();
    }
    return nullptr;
  }

  void owe(std::span<const Key> keys) {
    if (std::none_of(keys.begin(), keys.end(), is_value)) return;
    const std::scoped_lock lock(mutex_);
    for (const Key& key : keys) {
      if (!is_value(key)) continue;
      if (debts_.keys.size() < max_keys_) {
        debts_.keys.emplace(key.text());
      } else if (!debts_.keys.contains(key.text())) {
        debts_.all = true;
      }
    }
    ++owings_;
    owes_.store(true, std::memory_order_release);
  }

  bool try_before_fork() noexcept override { return mutex_.try_lock(); }
  void after_fork(bool in_child) noexcept override {
    if (in_child && std::exchange(is_paying_, false)) debts_.merge(due_);  // who was at it is not here
    mutex_.unlock();
  }

  const std::size_t max_keys_;
  const bool is_spread_;
  std::atomic<bool> owes_{false};
  std::mutex mutex_;  // of what follows
  Debts debts_;
  Debts due_;  // being paid, by one thread that reads it without the mutex: nobody changes it meanwhile
  bool is_paying_ = false;
  std::uint64_t turns_ = 0;
  std::uint64_t owings_ = 0;  // times that something was owed
  Steady::time_point next_payment_{};
  std::unique_ptr<Error> why_;  // the last payment failed
};

}  // namespace

StorePtr make_owing(StorePtr inner, const OwingOptions& options) {
  return std::make_shared<OwingStore>(std::move(inner), options);
}

}  // namespace v1
}  // namespace flux::cache
