// A small record of text in one of the store's spaces, changed by compare-and-swap.
#pragma once
#include <flux/cache/detail/core.hpp>
#include <flux/cache/type_of.hpp>

#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// The fresh text under the key, and the version of whatever is kept there; 0: nothing is.
struct RecordText {
  std::string text;
  std::uint64_t version = 0;
};

[[noreturn]] inline void raise_from(Core& core, Error why, const char* operation) {
  why.store = core.name();
  why.operation = operation;
  raise(std::move(why));
}

inline RecordText read_record(Core& core, const Key& key, const char* operation) {
  RecordText record;
  const Instant now = core.clock().now();
  auto there = core.store()->get(key, {.as = &type_of<std::string>(), .stale = true}, [&](const Entry& entry) {
    record.version = entry.version;
    if (entry.expiry.is_fresh(now)) record.text = entry.value.text;
  });
  if (!there.ok()) raise_from(core, there.error(), operation);
  return record;
}

/// False: somebody else was quicker.
inline bool write_record(Core& core, const Key& key, std::string_view text, const Expiry& expiry, std::uint64_t version,
                         const char* operation) {
  auto written = core.store()->put(key, {.value = {.kind = Kind::text, .text = text}, .expiry = expiry},
                                   {When::unchanged, version});
  if (!written.ok()) raise_from(core, written.error(), operation);
  return *written;
}

/// Reads, lets `change(text)` say what to write, and writes; again where somebody else was quicker. `change` answers
/// the new text and its expiry, or nothing: leave it.
template <class F>
void change_record(Core& core, const Key& key, const char* operation, F&& change) {
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    const RecordText record = read_record(core, key, operation);
    Expiry expiry;
    std::string text = record.text;
    if (!change(text, expiry) || write_record(core, key, text, expiry, record.version, operation)) return;
  }
  raise_from(core, {Errc::unavailable, "too many writers of one record", {}, {}, std::string(key.text())}, operation);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
