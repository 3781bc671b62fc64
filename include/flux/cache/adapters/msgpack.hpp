// flux/cache/adapters/msgpack.hpp - for types that have msgpack-c's MSGPACK_DEFINE. Include it where you want it.
//
//   template <> struct flux::cache::Codec<User> : flux::cache::MsgpackCodec<User> {};
//
// One line per type, and explicit, so that a type is written the same way in every file of a program. In json and
// msgpack documents the value stands as itself; in native ones as one run of bytes (its MessagePack). Define
// MSGPACK_NO_BOOST before this, unless Boost is at hand.
#pragma once
#include <flux/cache/serial.hpp>

#include <cstdint>
#include <msgpack.hpp>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail {

inline void save_msgpack(const msgpack::object& object, Writer& out) {
  switch (object.type) {
    case msgpack::type::BOOLEAN: return out.boolean(object.via.boolean);
    case msgpack::type::POSITIVE_INTEGER: return out.natural(object.via.u64);
    case msgpack::type::NEGATIVE_INTEGER: return out.integer(object.via.i64);
    case msgpack::type::FLOAT32: return out.number32(static_cast<float>(object.via.f64));
    case msgpack::type::FLOAT64: return out.number(object.via.f64);
    case msgpack::type::STR: return out.text({object.via.str.ptr, object.via.str.size});
    case msgpack::type::BIN: return out.bytes(object.via.bin.ptr, object.via.bin.size);
    case msgpack::type::ARRAY:
      if (!out.begin_array(object.via.array.size)) return;
      for (std::uint32_t i = 0; i < object.via.array.size; ++i) save_msgpack(object.via.array.ptr[i], out);
      return out.end_array();
    case msgpack::type::MAP:
      if (!out.begin_map(object.via.map.size)) return;
      for (std::uint32_t i = 0; i < object.via.map.size; ++i) {
        const msgpack::object& key = object.via.map.ptr[i].key;
        if (key.type != msgpack::type::STR) return out.fail(Errc::not_serializable, "a map whose keys are no text");
        out.key({key.via.str.ptr, key.via.str.size});
        save_msgpack(object.via.map.ptr[i].val, out);
      }
      return out.end_map();
    case msgpack::type::NIL: return out.present(false);
    case msgpack::type::EXT: break;
  }
  out.fail(Errc::not_serializable, "a MessagePack extension");
}

template <class Packer>
void load_msgpack(Reader& in, Packer& packer) {
  switch (in.peek()) {
    case Token::null:
      in.present();
      packer.pack_nil();
      return;
    case Token::boolean: in.boolean() ? packer.pack_true() : packer.pack_false(); return;
    case Token::integer: packer.pack_int64(in.integer()); return;
    case Token::natural: packer.pack_uint64(in.natural()); return;
    case Token::number:
      packer.pack_double(in.number());  // whole ones become integers, which msgpack-c reads as either
      return;
    case Token::text: {
      const std::string_view text = in.text();
      packer.pack_str(static_cast<std::uint32_t>(text.size()));
      packer.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
      return;
    }
    case Token::bytes: {
      const std::string_view bytes = in.bytes();
      packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
      packer.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
      return;
    }
    case Token::array:
    case Token::map: {
      const bool map = in.peek() == Token::map;
      msgpack::sbuffer body;
      msgpack::packer<msgpack::sbuffer> inner(body);
      std::uint32_t count = 0;
      for (std::size_t left = map ? in.begin_map() : in.begin_array(); in.next(left); ++count) {
        if (map) inner.pack(std::string(in.key()));
        load_msgpack(in, inner);
      }
      map ? packer.pack_map(count) : packer.pack_array(count);
      packer.pack_bin_body(body.data(), static_cast<std::uint32_t>(body.size()));
      return;
    }
    case Token::nothing: break;
  }
  in.fail(Errc::corrupt, "no value of MessagePack");
}

}  // namespace detail

/// The codec of a type with MSGPACK_DEFINE, MSGPACK_DEFINE_MAP or adaptors of its own: derive `Codec<T>` from it. What
/// msgpack-c throws is the read's or the write's error.
template <class T>
struct MsgpackCodec {
  static void save(const T& value, Writer& out) {
    msgpack::sbuffer buffer;
    msgpack::pack(buffer, value);
    if (out.abilities().positional) return out.bytes(buffer.data(), buffer.size());
    const msgpack::object_handle handle = msgpack::unpack(buffer.data(), buffer.size());
    detail::save_msgpack(handle.get(), out);
  }
  static void load(Reader& in, T& value) {
    if (in.abilities().positional) return load_from(in, in.bytes(), value);
    msgpack::sbuffer buffer;
    msgpack::packer<msgpack::sbuffer> packer(buffer);
    detail::load_msgpack(in, packer);
    load_from(in, {buffer.data(), buffer.size()}, value);
  }

 private:
  static void load_from(Reader& in, std::string_view bytes, T& value) {
    if (in.failed()) return;
    // No count in the bytes may be larger than the bytes themselves.
    const std::size_t most = bytes.size();
    const msgpack::object_handle handle =
        msgpack::unpack(bytes.data(), bytes.size(), nullptr, nullptr,
                        msgpack::unpack_limit(most, most, most, most, most, Limits{}.depth));
    handle.get().convert(value);
  }
};

}  // namespace v1
}  // namespace flux::cache
