// The type that fuzzers read documents as: one of everything, so that every door of a Reader is tried.
#pragma once
#include <flux/cache/format.hpp>
#include <flux/cache/serial.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace flux::cache::fuzz {

struct Leaf {
  std::int8_t small = 0;
  std::uint64_t large = 0;
  double real = 0;
  float single = 0;
  bool flag = false;
};

struct Document {
  std::string text;
  std::vector<std::byte> bytes;
  std::vector<Leaf> leaves;
  std::vector<double> doubles;
  std::array<std::int16_t, 3> three{};
  std::map<std::string, std::vector<std::string>> named;
  std::unordered_map<int, std::optional<std::optional<int>>> numbered;
  std::set<std::string> set;
  std::variant<int, std::string, Leaf> variant;
  std::tuple<int, std::string> tuple;
  std::list<Document> children;
  std::unique_ptr<Document> next;
};

/// Reads the bytes; what was read must be written and read again.
inline int read_document(const char* name, const std::uint8_t* data, std::size_t size) {
  const Format* format = formats().find(name);
  if (format == nullptr) return 0;
  const Type& type = type_of<Document>();
  auto first = format->decode(type, {reinterpret_cast<const char*>(data), size}, {});
  if (!first.ok()) return 0;
  std::string bytes;
  if (!format->encode(type, first->get(), bytes, {}).ok()) std::abort();
  if (!format->decode(type, bytes, {}).ok()) std::abort();
  return 0;
}

}  // namespace flux::cache::fuzz
