// config/settings_access.hpp - the inside of Settings, for those who build and rewrite trees.
#pragma once
#include <flux/cache/settings.hpp>

#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace detail {

struct SettingsAccess {
  static void place(Settings& node, std::uint32_t line, std::uint32_t column) {
    node.line_ = line;
    node.column_ = column;
  }
  static Settings& child(Settings& node, std::size_t index) { return node.items_[index]; }
  /// Adds a name that is known to be new.
  static void append(Settings& map, std::string name, Settings value) {
    map.names_.push_back(std::move(name));
    map.items_.push_back(std::move(value));
  }
  static void rewrite(Settings& node, std::string text, Settings::Origin origin) {
    node.text_ = std::move(text);
    node.origin_ = origin;
  }
  /// Makes the node a text, where it stood.
  static void blot(Settings& node, std::string text) {
    const auto line = node.line_, column = node.column_;
    node = Settings(std::move(text));
    place(node, line, column);
  }
};

/// Adds "/name" to a JSON pointer, escaped as RFC 6901 has it.
inline void append_pointer(std::string& pointer, std::string_view name) {
  pointer += '/';
  for (const char c : name) {
    if (c == '~')
      pointer += "~0";
    else if (c == '/')
      pointer += "~1";
    else
      pointer += c;
  }
}

inline std::string join_pointer(std::string_view pointer, std::string_view name) {
  std::string joined(pointer);
  append_pointer(joined, name);
  return joined;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
