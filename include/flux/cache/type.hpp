// flux/cache/type.hpp - what the cache knows of a C++ type: one immutable table for each.
#pragma once
#include <flux/cache/result.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

class Writer;
class Reader;

/// A live, immutable object of any type.
using Object = std::shared_ptr<const void>;

/// The ways of types that need no walk: whole numbers travel as decimal text, texts and bytes as they are.
enum class Lane : std::uint8_t { object, text, bytes, integer, natural };

/// How objects of one C++ type are weighed, written and read. One table per type and program; compare with `same_type`.
struct Type {
  std::string_view name;  ///< as the compiler spells it; for messages and to compare across shared libraries
  std::uint64_t fingerprint =
      0;  ///< over names, types and order of the fields; equal on every compiler; 0: memory only
  std::size_t (*weigh)(const void* object) = nullptr;       ///< bytes charged to a memory budget, the object included
  void (*save)(const void* object, Writer& out) = nullptr;  ///< null: the type lives in memory only
  Result<std::shared_ptr<void>> (*load)(Reader& in) = nullptr;  ///< null likewise
  Lane lane = Lane::object;  ///< text: the object is a std::string; bytes: a contiguous container of bytes
  std::string_view (*view)(const void* object) = nullptr;  ///< lanes text and bytes: the content where it lies
  std::shared_ptr<void> (*adopt)(std::string_view content) = nullptr;  ///< lanes text and bytes: an object made of it
};

inline bool same_type(const Type& a, const Type& b) noexcept {
  return &a == &b || (a.fingerprint == b.fingerprint && a.name == b.name);
}

}  // namespace v1
}  // namespace flux::cache
