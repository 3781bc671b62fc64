// tests/support/outcome.hpp - a text to put, and what came of a call, in a word.
#pragma once
#include <flux/cache/entry.hpp>
#include <flux/cache/result.hpp>

#include <string>
#include <string_view>

namespace flux::cache::testing {

/// "ok", or the name of the error's code.
template <class T>
std::string code_of(const Result<T>& answer) {
  return answer.ok() ? "ok" : std::string(to_string(answer.error().code));
}

inline Entry text_entry(std::string_view text, const Expiry& expiry = {}) {
  return {.value = {.kind = Kind::text, .text = text}, .expiry = expiry};
}

}  // namespace flux::cache::testing
