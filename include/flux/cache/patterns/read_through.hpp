// flux/cache/patterns/read_through.hpp - ask the cache, and it asks the source.
//
// The loader is said once, where the cache is set up, and not at each call: readers name a key and nothing else.
#pragma once
#include <flux/cache/manager.hpp>
#include <flux/cache/repository.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// Values of one type by their keys, from a cache in front of a source. Thread-safe where the loader is.
template <class T>
class ReadThrough {
 public:
  /// The source's value for a key; nothing where it has none. What it throws goes to the caller, and nothing is stored.
  using Loader = std::function<std::optional<T>(std::string_view key)>;

  /// In front of the facade's default store, as it is at each call. `options.negative` spares the source what it has
  /// not.
  ReadThrough(Options options, Loader loader) : options_(std::move(options)), loader_(std::move(loader)) {}
  ReadThrough(Repository repository, Options options, Loader loader)
      : repository_(std::move(repository)), options_(std::move(options)), loader_(std::move(loader)) {}

  /// From the cache, or by one run of the loader for all who ask meanwhile. Costs what `remember` costs.
  std::optional<T> get(std::string_view key) const {
    return here().remember(key, options_, [&] { return loader_(key); });
  }
  /// The source has changed: the next `get` asks it, whatever loads are under way.
  bool forget(std::string_view key) const { return here().forget(key); }
  /// Asks the source although something is there.
  std::optional<T> reload(std::string_view key) const {
    Options anew = options_;
    anew.skip_read = true;
    return here().remember(key, anew, [&] { return loader_(key); });
  }

 private:
  const Repository& here() const { return repository_ ? *repository_ : detail::current_repository(); }

  std::optional<Repository> repository_;
  Options options_;
  Loader loader_;
};

}  // namespace v1
}  // namespace flux::cache
