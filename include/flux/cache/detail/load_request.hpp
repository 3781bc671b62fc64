// flux/cache/detail/load_request.hpp - a load on its way from the template that knows the type to the compiled half.
#pragma once
#include <flux/cache/detail/core.hpp>
#include <flux/cache/load.hpp>

#include <functional>

namespace flux::cache {
inline namespace v1 {
namespace detail {

using LoaderRef = FunctionRef<Value(LoadSaid&)>;
using OwnedLoader = std::function<Value(LoadSaid&)>;

/// Everything borrowed for the length of the call.
struct LoadRequest {
  const Tags* tags;
  std::string_view key;
  const Type& as;
  Lifetime life;
  bool may_be_empty;               ///< the caller can be told that there is nothing
  Take take;                       ///< hands the answer to the caller; false: another type
  LoaderRef load;                  ///< the loader, in the caller's thread
  FunctionRef<OwnedLoader()> own;  ///< a copy of it, for work that outlives the call
};

/// Takes one answer of a loader of many.
using BatchAnswer = FunctionRef<void(std::string_view key, const ValueView&)>;

struct BatchLoadRequest {
  const Tags* tags;
  std::span<const Key> keys;  ///< each once
  const Type& as;
  Lifetime life;
  BatchTake take;
  FunctionRef<void(const std::vector<std::string>& missing, BatchAnswer)> load;
};

/// The options of `flexible`; throws std::invalid_argument.
FLUX_CACHE_API Options flexible_options(const Fresh& lives);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
