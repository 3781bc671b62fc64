// Any bytes as prefix and key: what goes to a server or to a disk is one word that the protocol allows, comes back as
// the same key, and is nobody else's.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "stores/file/directory.hpp"
#include "stores/memcached/wire_key.hpp"
#include "stores/redis/commands.hpp"
#include "stores/redis/layout.hpp"

using flux::cache::Key;
using flux::cache::Space;
namespace file_store = flux::cache::detail::file_store;
namespace memcached = flux::cache::detail::memcached;
namespace redis = flux::cache::detail::redis;

namespace {

constexpr Space kSpaces[] = {Space::values, Space::tags, Space::locks, Space::limits};

void require(bool holds) {
  if (!holds) std::abort();
}

struct Named {
  std::string_view prefix;
  Key key;

  bool operator==(const Named& other) const { return prefix == other.prefix && key == other.key; }
};

std::string on_memcached(const Named& named) {
  const memcached::KeyCodec codec(named.prefix);
  const memcached::WireKey wire = codec.encode(named.key);
  const std::string_view text = wire.text();
  require(!text.empty() && text.size() <= memcached::kLongestWireKey && text.size() <= codec.longest(named.key));
  require(memcached::is_safe_key(text) && text != codec.generation());
  for (const Space space : kSpaces) require(codec.is_of(space, text) == (space == named.key.space()));
  require(wire.is_digest() || codec.key_in(text) == named.key.text());
  return std::string(text);
}

/// The words of one command, as a server takes them apart.
std::vector<std::string> words_in(std::string_view bytes) {
  std::vector<std::string> words;
  const auto number = [&](char mark) {
    const std::size_t end = bytes.find("\r\n");
    require(end != bytes.npos && bytes.front() == mark);
    const std::size_t value = std::stoul(std::string(bytes.substr(1, end - 1)));
    bytes.remove_prefix(end + 2);
    return value;
  };
  for (std::size_t left = number('*'); left > 0; --left) {
    const std::size_t size = number('$');
    require(bytes.size() >= size + 2 && bytes.substr(size, 2) == "\r\n");
    words.emplace_back(bytes.substr(0, size));
    bytes.remove_prefix(size + 2);
  }
  require(bytes.empty());
  return words;
}

std::string on_redis(const Named& named, redis::Spread spread) {
  const std::string prefix = redis::escaped_prefix(named.prefix, spread);
  const std::string root = redis::roots_of(prefix)[static_cast<std::size_t>(named.key.space())];
  const redis::Layout layout(prefix + "g/", spread);
  const std::size_t group = layout.group_of(named.key);
  const std::string stored = root + std::string(layout.mark(group)) + std::string(named.key.text());
  require(layout.text_behind(std::string_view(stored).substr(root.size())) == named.key.text());
  if (spread == redis::Spread::cluster) require(redis::slot_of(stored) == layout.where(named.key).slot);

  redis::Commands commands;
  commands.begin(2).word("GET").word(root, layout.mark(group), named.key.text());
  std::string bytes;
  for (const iovec& part : commands.parts()) bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
  const std::vector<std::string> words = words_in(bytes);
  require(words.size() == 2 && words[1] == stored);
  return stored;
}

std::string on_disk(const Named& named) {
  const std::string path = file_store::EntryPath(named.key.space(), named.key.text(), 1).text;
  require(path.size() == 5 + file_store::kNameDigits && path.find_first_not_of("vtlm/0123456789abcdef") == path.npos);
  require(path[1] == '/' && path[4] == '/' && path.find('/', 5) == path.npos);
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const std::string_view bytes = std::string_view(reinterpret_cast<const char*>(data), size).substr(4);
  // Two of each, cut out of the input, so that the end of one prefix is often the begin of a key.
  const std::string_view first_prefix = bytes.substr(0, data[0]), second_prefix = bytes.substr(0, data[1]);
  const auto rest = [&](std::string_view prefix) { return bytes.substr(prefix.size()); };
  if (rest(first_prefix).empty() || rest(second_prefix).empty()) return 0;
  const Named first{first_prefix, Key(rest(first_prefix), kSpaces[data[2] % 4])};
  const Named second{second_prefix, Key(rest(second_prefix), kSpaces[data[3] % 4])};

  require((on_memcached(first) == on_memcached(second)) == (first == second));
  for (const redis::Spread spread : {redis::Spread::server, redis::Spread::cluster})
    require((on_redis(first, spread) == on_redis(second, spread)) == (first == second));
  require((on_disk(first) == on_disk(second)) == (first.key == second.key));
  return 0;
}
