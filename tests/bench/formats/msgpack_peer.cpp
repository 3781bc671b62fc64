// msgpack-c by itself, as its manual shows it.
#include "peers.hpp"

#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif
#include <msgpack.hpp>

namespace {

struct Packed : Product {
  MSGPACK_DEFINE(id, name, sku, description, price, weight, stock, active, tags, attributes, brand, category, rating,
                 views, updated)
};

struct Mapped : Product {
  MSGPACK_DEFINE_MAP(id, name, sku, description, price, weight, stock, active, tags, attributes, brand, category,
                     rating, views, updated)
};

template <class T>
std::string pack(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return {buffer.data(), buffer.size()};
}

}  // namespace

std::string msgpack_encode(const Product& product) { return pack(static_cast<const Packed&>(product)); }
std::string msgpack_encode(const std::vector<double>& numbers) { return pack(numbers); }

void msgpack_decode(const std::string& bytes, Product& product) {
  const auto handle = msgpack::unpack(bytes.data(), bytes.size());
  handle.get().convert(static_cast<Packed&>(product));
}
void msgpack_decode(const std::string& bytes, std::vector<double>& numbers) {
  const auto handle = msgpack::unpack(bytes.data(), bytes.size());
  handle.get().convert(numbers);
}

std::string msgpack_encode_map(const Product& product) { return pack(static_cast<const Mapped&>(product)); }
void msgpack_decode_map(const std::string& bytes, Product& product) {
  const auto handle = msgpack::unpack(bytes.data(), bytes.size());
  handle.get().convert(static_cast<Mapped&>(product));
}
