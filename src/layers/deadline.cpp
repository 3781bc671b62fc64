#include <flux/cache/executor.hpp>
#include <flux/cache/layers/deadline.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {

namespace {

/// Keys with the bytes that they stand on.
class OwnedKeys {
 public:
  explicit OwnedKeys(std::span<const Key> keys) {
    texts_.reserve(keys.size());
    keys_.reserve(keys.size());
    for (const Key& key : keys) keys_.emplace_back(texts_.emplace_back(key.text()), key.space());
  }
  OwnedKeys(OwnedKeys&&) noexcept = default;

  std::span<const Key> keys() const noexcept { return keys_; }
  const Key& one() const noexcept { return keys_.front(); }

 private:
  std::vector<std::string> texts_;  // reserved once, so that the keys' views stay
  std::vector<Key> keys_;
};

class DeadlineStore final : public Decorator {
 public:
  DeadlineStore(StorePtr inner, Duration limit) : Decorator(inner), shared_(std::move(inner)), limit_(limit) {}

  Traits traits() const noexcept override { return inner().traits(); }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return reading(key, "get", found,
                   [how](Store& store, const Key& own, Receiver take) { return store.get(own, how, take); });
  }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    return reading(key, "pull", found,
                   [how](Store& store, const Key& own, Receiver take) { return store.pull(own, how, take); });
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return within<Result<bool>>("put", [own = OwnedKeys({&key, 1}), copy = EntryCopy(entry), how](Store& store) {
      return store.put(own.one(), copy.view(), how);
    });
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    return within<Result<bool>>(
        "forget", [own = OwnedKeys({&key, 1}), how](Store& store) { return store.forget(own.one(), how); });
  }
  Result<bool> has(const Key& key) override {
    return within<Result<bool>>("has", [own = OwnedKeys({&key, 1})](Store& store) { return store.has(own.one()); });
  }
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    return within<Result<bool>>(
        "touch", [own = OwnedKeys({&key, 1}), expiry](Store& store) { return store.touch(own.one(), expiry); });
  }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    return within<Result<std::int64_t>>("increment",
                                        [own = OwnedKeys({&key, 1}), by, copy = EntryCopy(if_new)](Store& store) {
                                          return store.increment(own.one(), by, copy.view());
                                        });
  }
  Result<void> flush(const Scope& scope) override {
    return within<Result<void>>("flush", [tags = std::vector<std::string>(scope.tags.begin(), scope.tags.end()),
                                          any = scope.any](Store& store) {
      const std::vector<std::string_view> views(tags.begin(), tags.end());
      return store.flush({views, any});
    });
  }
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override {
    return within<Result<std::vector<std::uint64_t>>>(
        "epochs", [own = std::vector<std::string>(tags.begin(), tags.end())](Store& store) {
          return store.epochs(std::vector<std::string_view>(own.begin(), own.end()));
        });
  }
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    struct Told {
      std::vector<std::pair<std::size_t, EntryCopy>> copies;
      std::vector<std::pair<std::size_t, std::unique_ptr<Error>>> unreadable;
    };
    auto told = std::make_shared<Told>();
    auto done = within<Result<void>>("many", [own = OwnedKeys(keys), how, told](Store& store) {
      const auto copy = [&](std::size_t i, const Entry& entry) { told->copies.emplace_back(i, EntryCopy(entry)); };
      const auto keep = [&](std::size_t i, std::unique_ptr<Error> why) {
        told->unreadable.emplace_back(i, std::move(why));
      };
      return store.get_many(own.keys(), how, {copy, keep});
    });
    if (!done.ok()) return done;
    for (const auto& [i, copy] : told->copies) found(i, copy.view());
    for (auto& [i, why] : told->unreadable) found.unreadable(i, std::move(why));
    return done;
  }
  Result<BatchWritten> put_many(std::span<const Item> items) override {
    std::vector<Key> keys;
    std::vector<EntryCopy> copies;
    for (const Item& item : items) keys.push_back(item.key), copies.emplace_back(item.entry);
    return within<Result<BatchWritten>>("put_many", [own = OwnedKeys(keys), copies = std::move(copies)](Store& store) {
      std::vector<Item> all;
      for (std::size_t i = 0; i < copies.size(); ++i) all.push_back({own.keys()[i], copies[i].view()});
      return store.put_many(all);
    });
  }
  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    return within<Result<std::size_t>>("forget_many",
                                       [own = OwnedKeys(keys)](Store& store) { return store.forget_many(own.keys()); });
  }

 private:
  template <class Answer>
  struct Desk {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Answer> answer;
  };

  template <class Answer, class Work>
  Answer within(const char* operation, Work work) {
    const auto desk = std::make_shared<Desk<Answer>>();
    auto task = std::make_shared<Work>(std::move(work));  // a std::function wants what can be copied
    const bool taken = executor()->submit([desk, task, store = shared_] {
      Answer answer = (*task)(*store);
      const std::scoped_lock guard(desk->mutex);
      desk->answer.emplace(std::move(answer));
      desk->answered.notify_all();
    });
    const std::string kind(inner().traits().kind);
    if (!taken) return Error{Errc::rejected, "no thread is free to keep the deadline", kind, operation};
    std::unique_lock lock(desk->mutex);
    if (!desk->answered.wait_for(lock, limit_, [&] { return desk->answer.has_value(); }))
      return Error{Errc::timeout, "the call was not done within its timeout", kind, operation};
    return *std::move(desk->answer);
  }

  template <class Ask>
  Result<bool> reading(const Key& key, const char* operation, Receiver found, Ask ask) {
    auto copy = std::make_shared<EntryCopy>();
    auto there = within<Result<bool>>(operation, [own = OwnedKeys({&key, 1}), ask, copy](Store& store) {
      return ask(store, own.one(), [&](const Entry& entry) { *copy = EntryCopy(entry); });
    });
    if (there.ok() && *there) found(copy->view());
    return there;
  }

  const StorePtr shared_;
  const Duration limit_;
};

}  // namespace

StorePtr with_deadline(StorePtr inner, Duration limit) {
  if (limit <= Duration::zero()) return inner;
  return std::make_shared<DeadlineStore>(std::move(inner), limit);
}

}  // namespace v1
}  // namespace flux::cache
