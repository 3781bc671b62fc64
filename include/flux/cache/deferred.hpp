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
class FLUX_CACHE_API Deferred {
 public:
  /// What a Deferred can do under tags.
  class FLUX_CACHE_API Tagged {
   public:
    Tagged(Deferred& home, Tags tags) : home_(home), tags_(std::move(tags)) {}
    void flush();
    void flush_any();
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

  explicit Deferred(Repository repository);
  Deferred(Deferred&&) noexcept;
  Deferred& operator=(Deferred&&) noexcept;
  ~Deferred();

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
  void forget(std::string_view key);
  void forget_many(const Keys& keys);
  void flush();

  /// Does everything, in the order in which it was said. True: all of it succeeded.
  bool commit();
  /// Forgets what was said.
  void discard() noexcept;
  std::size_t size() const noexcept;

 private:
  using Step = std::function<bool(const Repository&)>;

  void add(Step step);

  Repository repository_;
  std::vector<Step> steps_;
};

}  // namespace v1
}  // namespace flux::cache
