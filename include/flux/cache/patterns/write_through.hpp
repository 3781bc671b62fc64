// flux/cache/patterns/write_through.hpp - the source first, then the cache, in one call.
//
// Who reads sees what was written last. A write that the source refuses changes nothing for readers: the entry is
// forgotten, and the next read asks the source what became of it.
#pragma once
#include <flux/cache/manager.hpp>
#include <flux/cache/repository.hpp>

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// What becomes of the entry once the source has the value.
enum class AfterWrite : std::uint8_t {
  put,     ///< it is replaced: the next read is a hit. Right where one process writes a key.
  forget,  ///< it goes: the next read loads. Right also where several processes write the same key.
};

/// Writes values of one type to a source and a cache. Thread-safe where the writer is; writers of one key take turns,
/// so that the cache ends up with what the source got last.
template <class T>
class WriteThrough {
 public:
  /// Throws where it could not write.
  using Writer = std::function<void(std::string_view key, const T& value)>;

  /// In front of the facade's default store, as it is at each call.
  WriteThrough(Options options, Writer writer, AfterWrite after = AfterWrite::put)
      : WriteThrough(std::nullopt, std::move(options), std::move(writer), after) {}
  WriteThrough(Repository repository, Options options, Writer writer, AfterWrite after = AfterWrite::put)
      : WriteThrough(std::optional(std::move(repository)), std::move(options), std::move(writer), after) {}

  /// Returns when the source has it; true: the cache as well. What the writer throws goes to the caller.
  bool put(std::string_view key, const T& value) const {
    const std::scoped_lock turn((*turns_)[Key(key).hash() % kTurns]);
    const Repository& cache = here();
    try {
      writer_(key, value);
    } catch (...) {
      cache.forget(key);  // it may have been written all the same
      throw;
    }
    if (after_ == AfterWrite::put) return cache.put(key, value, options_);
    return cache.forget(key), true;
  }

 private:
  static constexpr std::size_t kTurns = 64;

  WriteThrough(std::optional<Repository> repository, Options options, Writer writer, AfterWrite after)
      : repository_(std::move(repository)),
        options_(std::move(options)),
        writer_(std::move(writer)),
        after_(after),
        turns_(std::make_unique<std::array<std::mutex, kTurns>>()) {}
  const Repository& here() const { return repository_ ? *repository_ : detail::current_repository(); }

  std::optional<Repository> repository_;
  Options options_;
  Writer writer_;
  AfterWrite after_;
  std::unique_ptr<std::array<std::mutex, kTurns>> turns_;
};

}  // namespace v1
}  // namespace flux::cache
