// flux/cache/deferred.hpp - invalidations that wait for a commit.
//
// Inside a database transaction nothing should be forgotten yet: others would load the old rows again before the
// commit, and a rollback would have forgotten for nothing. What is said to a Deferred happens at `commit()`, in order;
// without it, nothing happens.
#pragma once
#include <flux/cache/repository.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
inline namespace v1 {

/// Collects writes and invalidations. For one thread at a time.
class Deferred {
 public:
  /// What a Deferred can do under tags.
  class Tagged {
   public:
    Tagged(Deferred& home, Tags tags) : home_(home), tags_(std::move(tags)) {}
    void flush() {
      home_.add([tags = tags_](const Repository& to) { return to.tags(tags).flush(); });
    }
    void flush_any() {
      home_.add([tags = tags_](const Repository& to) { return to.tags(tags).flush_any(); });
    }
    template <class V>
    void put(std::string_view key, V value, Options options = {}) {
      home_.add(
          [tags = tags_, key = std::string(key), value = detail::stored_t<V>(std::move(value)),
           options = std::move(options)](const Repository& to) { return to.tags(tags).put(key, value, options); });
    }

   private:
    Deferred& home_;
    Tags tags_;
  };

  explicit Deferred(Repository repository) : repository_(std::move(repository)) {}
  Deferred(Deferred&&) = default;
  Deferred& operator=(Deferred&&) = default;

  Tagged tags(Tags tags) { return Tagged(*this, std::move(tags)); }
  template <class V>
  void put(std::string_view key, V value, Ttl ttl) {
    put(key, std::move(value), Options{.ttl = ttl});
  }
  template <class V>
  void put(std::string_view key, V value, Options options = {}) {
    add([key = std::string(key), value = detail::stored_t<V>(std::move(value)),
         options = std::move(options)](const Repository& to) { return to.put(key, value, options); });
  }
  void forget(std::string_view key) {
    // What was not there is no failure.
    add([key = std::string(key)](const Repository& to) { return to.try_forget(key).ok(); });
  }
  void forget_many(const Keys& keys) {
    for (const std::string_view key : keys.views()) forget(key);
  }
  void flush() {
    add([](const Repository& to) { return to.flush(); });
  }

  /// Does everything, in the order in which it was said. True: all of it succeeded.
  bool commit() {
    bool all = true;
    for (const auto& step : std::exchange(steps_, {})) all = step(repository_) && all;
    return all;
  }
  /// Forgets what was said.
  void discard() noexcept { steps_.clear(); }
  std::size_t size() const noexcept { return steps_.size(); }

 private:
  void add(std::function<bool(const Repository&)> step) { steps_.push_back(std::move(step)); }

  Repository repository_;
  std::vector<std::function<bool(const Repository&)>> steps_;
};

}  // namespace v1
}  // namespace flux::cache
