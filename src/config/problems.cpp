#include "config/problems.hpp"

#include <flux/cache/error.hpp>

#include <algorithm>

#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

void Problems::add(std::string_view pointer, const Settings* at, std::string_view message) {
  if (full()) return;
  std::string line;
  // A pointer is made of keys that a person wrote; escaped like any text, but for its quotes.
  if (!pointer.empty()) {
    const std::string safe = shown(pointer);
    line.assign(safe, 1, safe.rfind('"') - 1).append(safe.back() == '.' ? "...: " : ": ");
  }
  line += message;
  if (at != nullptr && at->line() != 0) line.append(" (line ").append(std::to_string(at->line())).append(")");
  if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) lines_.push_back(std::move(line));
}

void Problems::raise() const {
  if (lines_.empty()) return;
  std::string message = lines_.front();
  for (std::size_t i = 1; i < lines_.size(); ++i) message.append("\n").append(lines_[i]);
  if (full()) message += "\nand perhaps more";
  throw ConfigError(Error{Errc::bad_config, std::move(message)});
}

namespace {

/// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::string suggestion(std::string_view given, const std::vector<std::string_view>& names) {
  constexpr std::size_t kLongest = 64;
  if (given.empty() || given.size() > kLongest) return {};
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(1, given.size() / 3) + 1;
  for (const std::string_view name : names) {
    if (name.size() > kLongest) continue;
    if (const std::size_t steps = distance(given, name); steps < least) least = steps, nearest = name;
  }
  return nearest.empty() ? std::string() : " (did you mean " + shown(nearest) + "?)";
}

std::string alternatives(const std::vector<std::string_view>& names) {
  constexpr std::size_t kMost = 12;
  if (names.empty()) return "none";
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMost; ++i) {
    if (i != 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  if (names.size() > kMost) text += "...";
  return text;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
