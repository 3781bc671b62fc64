// What tests of the configuration ask with.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/drivers.hpp>

#include <cstdlib>
#include <string>
#include <string_view>

namespace flux::cache {

/// Sets a variable of the environment for the length of a scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

/// The message of the refusal, or "" where the configuration was accepted.
inline std::string refusal(const Config& config) {
  try {
    validate(config);
    return {};
  } catch (const ConfigError& error) {
    return error.error().message;
  }
}

inline std::string refusal(std::string_view json) {
  try {
    return refusal(Config::from_json(json));
  } catch (const ConfigError& error) {
    return error.error().message;
  }
}

inline std::string refusal_of_store(const std::string& fields) {
  return refusal("{\"stores\": {\"a\": {" + fields + "}}}");
}

inline bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

template <class Struct>
Struct read_store(const std::string& json) {
  return from_settings<Struct>(Settings::parse(json));
}

}  // namespace flux::cache
