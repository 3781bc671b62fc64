// flux/cache/adapters/nlohmann.hpp - for types that have nlohmann's to_json and from_json. Include it where you want
// it.
//
//   template <> struct flux::cache::Codec<User> : flux::cache::NlohmannCodec<User> {};
//
// One line per type, and explicit, so that a type is written the same way in every file of a program. In json and
// msgpack documents the value stands as itself; in native ones as one run of bytes (nlohmann's MessagePack).
#pragma once
#include <flux/cache/serial.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail {

inline void save_json(const nlohmann::json& json, Writer& out) {
  switch (json.type()) {
    case nlohmann::json::value_t::object:
      if (!out.begin_map(json.size())) return;
      for (const auto& [name, value] : json.items()) {
        out.key(name);
        save_json(value, out);
      }
      return out.end_map();
    case nlohmann::json::value_t::array:
      if (!out.begin_array(json.size())) return;
      for (const auto& value : json) save_json(value, out);
      return out.end_array();
    case nlohmann::json::value_t::string: return out.text(json.get_ref<const std::string&>());
    case nlohmann::json::value_t::boolean: return out.boolean(json.get<bool>());
    case nlohmann::json::value_t::number_integer: return out.integer(json.get<std::int64_t>());
    case nlohmann::json::value_t::number_unsigned: return out.natural(json.get<std::uint64_t>());
    case nlohmann::json::value_t::number_float: return out.number(json.get<double>());
    case nlohmann::json::value_t::binary: return out.bytes(json.get_binary().data(), json.get_binary().size());
    case nlohmann::json::value_t::null:
    case nlohmann::json::value_t::discarded: break;
  }
  out.present(false);
}

inline nlohmann::json load_json(Reader& in);

inline nlohmann::json load_json_number(Reader& in) {
  // JSON tells whole numbers and others apart by their spelling only; a Reader by what it is asked for.
  const double number = in.number();
  constexpr double kExact = 9007199254740992.0;
  if (number >= -kExact && number <= kExact && number == static_cast<double>(static_cast<std::int64_t>(number))) {
    return static_cast<std::int64_t>(number);
  }
  return number;
}

inline nlohmann::json load_json(Reader& in) {
  switch (in.peek()) {
    case Token::null: in.present(); return nullptr;
    case Token::boolean: return in.boolean();
    case Token::integer: return in.integer();
    case Token::natural: return in.natural();
    case Token::number: return load_json_number(in);
    case Token::text: return std::string(in.text());
    case Token::bytes: {
      const std::string_view bytes = in.bytes();
      return nlohmann::json::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
    }
    case Token::array: {
      nlohmann::json array = nlohmann::json::array();
      for (std::size_t left = in.begin_array(); in.next(left);) array.push_back(load_json(in));
      return array;
    }
    case Token::map: {
      nlohmann::json object = nlohmann::json::object();
      for (std::size_t left = in.begin_map(); in.next(left);) {
        std::string name(in.key());
        object[std::move(name)] = load_json(in);
      }
      return object;
    }
    case Token::nothing: break;
  }
  in.fail(Errc::corrupt, "no value of JSON");
  return nullptr;
}

}  // namespace detail

/// The codec of a type with `to_json` and `from_json`: derive `Codec<T>` from it. What those throw is the read's or the
/// write's error.
template <class T>
struct NlohmannCodec {
  static void save(const T& value, Writer& out) {
    const nlohmann::json json = value;
    if (!out.abilities().positional) return detail::save_json(json, out);
    const std::vector<std::uint8_t> bytes = nlohmann::json::to_msgpack(json);
    out.bytes(bytes.data(), bytes.size());
  }
  static void load(Reader& in, T& value) {
    nlohmann::json json;
    if (in.abilities().positional) {
      const std::string_view bytes = in.bytes();
      if (!in.failed()) json = nlohmann::json::from_msgpack(bytes.begin(), bytes.end());
    } else {
      json = detail::load_json(in);
    }
    if (!in.failed()) json.get_to(value);
  }
};

}  // namespace v1
}  // namespace flux::cache
