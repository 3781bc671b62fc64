#include "message.hpp"

namespace flux::cache {
inline namespace v1 {
namespace tiered {

namespace {

constexpr std::string_view kMagic = "FXB1";
constexpr std::size_t kHead = 4 + 8 + 8 + 8 + 1 + 1 + 2;

template <class Number>
void add(std::string& out, Number number) {
  for (std::size_t byte = 0; byte < sizeof number; ++byte)
    out += static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * byte) & 0xff);
}

template <class Number>
Number take(std::string_view& from) {
  std::uint64_t number = 0;
  for (std::size_t byte = sizeof(Number); byte > 0; --byte)
    number = number << 8 | static_cast<unsigned char>(from[byte - 1]);
  from.remove_prefix(sizeof(Number));
  return static_cast<Number>(number);
}

}  // namespace

std::string Message::encode() const {
  std::string out(kMagic);
  add(out, origin), add(out, cache), add(out, wall);
  add(out, static_cast<std::uint8_t>(kind)), add(out, static_cast<std::uint8_t>(any));
  add(out, static_cast<std::uint16_t>(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    add(out, static_cast<std::uint32_t>(names[i].size()));
    out += names[i];
    if (kind == Kind::keys) add(out, walls[i]);
  }
  add(out, detail::stable_hash64(out));
  return out;
}

std::optional<Message> Message::decode(std::string_view bytes) {
  if (bytes.size() < kHead + 8 || !bytes.starts_with(kMagic)) return std::nullopt;
  std::string_view tail = bytes.substr(bytes.size() - 8);
  bytes.remove_suffix(8);
  if (take<std::uint64_t>(tail) != detail::stable_hash64(bytes)) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  Message message;
  message.origin = take<std::uint64_t>(bytes);
  message.cache = take<std::uint64_t>(bytes);
  message.wall = take<std::int64_t>(bytes);
  message.kind = static_cast<Kind>(take<std::uint8_t>(bytes));
  message.any = take<std::uint8_t>(bytes) != 0;
  const auto count = take<std::uint16_t>(bytes);
  if (message.kind < Kind::keys || message.kind > Kind::hello || count > kMostNames) return std::nullopt;
  for (std::uint16_t i = 0; i < count; ++i) {
    if (bytes.size() < 4) return std::nullopt;
    const auto size = take<std::uint32_t>(bytes);
    if (bytes.size() < size) return std::nullopt;
    message.names.push_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (message.kind != Kind::keys) continue;
    if (bytes.size() < 8) return std::nullopt;
    message.walls.push_back(take<std::int64_t>(bytes));
  }
  return bytes.empty() ? std::optional(std::move(message)) : std::nullopt;
}

}  // namespace tiered
}  // namespace v1
}  // namespace flux::cache
