// config/problems.hpp - the mistakes of a configuration, collected so that a person sees all of them at once.
#pragma once
#include <flux/cache/settings.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail {

class Problems {
 public:
  /// Beyond so many nobody reads on, and checking may stop.
  static constexpr std::size_t kMost = 20;

  /// `at`, where not null, gives the line.
  void add(std::string_view pointer, const Settings* at, std::string_view message);
  bool empty() const noexcept { return lines_.empty(); }
  std::size_t size() const noexcept { return lines_.size(); }
  bool full() const noexcept { return lines_.size() >= kMost; }
  /// Throws ConfigError where there are any: one mistake a line.
  void raise() const;

 private:
  std::vector<std::string> lines_;
};

/// ` (did you mean "path"?)` where one of the names is near enough to be meant, else "".
std::string suggestion(std::string_view given, const std::vector<std::string_view>& names);
/// "a, b or c".
std::string alternatives(const std::vector<std::string_view>& names);

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
