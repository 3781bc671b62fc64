// Values that are nothing but a document and a lifetime, kept as the document alone.
#include "memcached_store.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <algorithm>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

bool ServersStore::write_document(const Address& address, const Record& record, const WallTime& now, std::string& heads,
                                  Packed& item) const {
  const auto write_number = [&](auto number) {
    const std::string text = std::to_string(number);
    heads += text;
    item.head = std::string_view(heads).substr(heads.size() - text.size());
  };
  if (address.is_digest || record.tag_count != 0 || !record.notes.empty() || record.fresh_until != record.keep_until ||
      record.keep_until <= now.wall)
    return false;
  switch (record.kind) {
    case Kind::integer: write_number(record.number); break;
    case Kind::unsigned_integer: write_number(static_cast<std::uint64_t>(record.number)); break;
    case Kind::text:
    case Kind::bytes:
      if (record.text.empty() || begins_record(record.text)) return false;
      item.body = record.text;
      break;
    default: return false;
  }
  item.expires = expires_of(record.keep_until, now.wall);
  item.version = std::max<std::uint64_t>(stable_hash64(item.body.empty() ? item.head : item.body), 1);
  return true;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
