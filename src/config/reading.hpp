// config/reading.hpp - what a strict reading carries along.
#pragma once
#include <flux/cache/fields.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "config/problems.hpp"

namespace flux::cache {
inline namespace v1 {

struct Config;

namespace detail {

/// A variable's value may be a number or a bool spelled out; what stands in the configuration itself may not.
inline bool is_variable(const Settings& found) {
  return found.is_text() && found.origin() != Settings::Origin::written;
}

/// What was found, for a message: numbers as they are, texts by their kind alone, since one may be a secret.
std::string described(const Settings& found);
/// A name that a configuration uses, in quotes; a variable's value is not shown.
std::string named(const Settings& found);

/// A store that another one is made of.
struct Reference {
  std::string pointer;
  std::string store;
  const Settings* at;
};

struct Reading {
  Problems problems{};
  const Config* config = nullptr;  ///< whose stores and connections must exist; null: that is not checked
  std::vector<Reference> references{};

  /// Reads what `describe` names.
  void read(const Settings& settings, std::string_view pointer, FunctionRef<void(Fields&)> describe);
  /// Likewise, and leaves keys that nobody names alone.
  void read_some(const Settings& settings, std::string_view pointer, FunctionRef<void(Fields&)> describe);
  /// The value of a key, marked as known; null where it is missing or null.
  static const Settings* take(Fields& fields, std::string_view name) { return fields.take(name); }
  /// Writes down all that `describe` names.
  static Settings write(FunctionRef<void(Fields&)> describe);
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
