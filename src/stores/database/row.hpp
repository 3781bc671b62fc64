// database/row.hpp - what a row is found by, and what proves it.
#pragma once
#include <flux/cache/detail/stable_hash.hpp>
#include <flux/cache/entry.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail::database {

/// Where a key's row stands and what its proof starts from.
struct Place {
  std::int64_t id;     ///< the first row number of its bucket
  std::uint64_t word;  ///< a second hash of the key, by another seed
};

/// `seed` is the table's own secret, mixed with prefix and space: nobody outside can prepare keys for one bucket.
inline Place place_of(std::string_view key, std::uint64_t seed) noexcept {
  const Hash128 hash = stable_hash128(key, seed);
  return {static_cast<std::int64_t>(hash.low & ~std::uint64_t{7}), hash.high};
}

/// The share of the deadlines in a proof; by itself, so that an update of them alone can exchange it.
inline std::uint64_t proof_of_deadlines(std::int64_t fresh_until, std::int64_t keep_until) noexcept {
  return static_cast<std::uint64_t>(fresh_until) ^ static_cast<std::uint64_t>(keep_until);
}

/// The integrity word of a row: a flipped byte in its number, value, kind, labels or in one of its deadlines, or the
/// row of another key, does not agree with it. Numbers and deadlines enter by exclusive or alone, so that SQL can count
/// and change deadlines without reading first, and a row that was damaged before stays so.
inline std::int64_t proof_of(const Place& place, const ValueView& value, std::string_view labels,
                             std::int64_t fresh_until, std::int64_t keep_until) noexcept {
  std::uint64_t proof = fingerprint_mix(place.word + static_cast<std::uint64_t>(value.kind));
  switch (value.kind) {
    case Kind::integer:
    case Kind::unsigned_integer: proof ^= static_cast<std::uint64_t>(value.number); break;
    case Kind::none: break;
    default: proof ^= stable_hash64(value.text, proof); break;
  }
  if (!labels.empty()) proof ^= stable_hash64(labels, place.word);
  return static_cast<std::int64_t>(proof ^ proof_of_deadlines(fresh_until, keep_until));
}

/// Tags and notes of an entry as one byte string; empty where there are none. By numbers of seven bits a byte, low
/// first: the count of tags, then for each its length, its bytes and its epoch (8 bytes, low first); what follows is
/// the notes.
std::string encode_labels(const Entry& entry);

/// The way back. The views lie in `labels`.
struct Labels {
  std::vector<TagStamp> tags{};
  std::string_view notes{};
};
/// False: these are no labels.
bool decode_labels(std::string_view labels, Labels& out);

}  // namespace detail::database
}  // namespace v1
}  // namespace flux::cache
