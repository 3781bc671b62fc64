#include "record.hpp"

#include <flux/cache/detail/stable_hash.hpp>

#include <cstring>
#include <iterator>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

constexpr unsigned char kMagic = 0xfc;  // begins no text in UTF-8, so no document of another program's
constexpr unsigned char kFormat = 1;
constexpr std::size_t kSumAt = 4;
constexpr std::size_t kSummedFrom = 12;

enum Part : unsigned {
  kGeneration = 1,
  kFresh = 2,
  kKeep = 4,  ///< where it differs from fresh_until
  kNumber = 8,
  kKey = 16,
  kTags = 32,
  kNotes = 64,
};

// On the wire, so they never change, whatever becomes of Kind.
constexpr Kind kKinds[] = {Kind::none, Kind::integer, Kind::unsigned_integer, Kind::text, Kind::bytes};

unsigned char code_of(Kind kind) noexcept {
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i] == kind) return static_cast<unsigned char>(i);
  }
  return 0;
}

template <class Number>
char* store(char* to, Number number) noexcept {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  std::memcpy(to, &number, sizeof number);
#else
  for (std::size_t i = 0; i < sizeof number; ++i) to[i] = static_cast<char>(number >> (8 * i));
#endif
  return to + sizeof number;
}

/// Takes numbers off the front, and remembers once there were too few bytes.
class Taker {
 public:
  explicit Taker(std::string_view from) : left_(from) {}

  template <class Number>
  Number number() noexcept {
    if (left_.size() < sizeof(Number)) {
      short_ = true;
      return 0;
    }
    Number value = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    std::memcpy(&value, left_.data(), sizeof value);
#else
    for (std::size_t i = 0; i < sizeof value; ++i)
      value = static_cast<Number>(
          value | static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(left_[i])) << (8 * i)));
#endif
    left_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view bytes(std::size_t size) noexcept {
    if (left_.size() < size) {
      short_ = true;
      return {};
    }
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  std::string_view rest() const noexcept { return left_; }
  bool is_short() const noexcept { return short_; }

 private:
  std::string_view left_;
  bool short_ = false;
};

std::uint64_t sum_of(std::string_view head, std::string_view text, std::string_view wire_key) noexcept {
  return stable_hash64(text, stable_hash64(head, stable_hash64(wire_key)));
}

}  // namespace

std::string_view encode_head(const Record& record, std::string_view wire_key, std::string& to) {
  unsigned parts = 0;
  char fixed[kMostHeadBytes];
  char* at = store(fixed + kSummedFrom, record.version);
  if (record.generation != 0) parts |= kGeneration, at = store(at, record.generation);
  if (record.fresh_until != kForever) parts |= kFresh, at = store(at, static_cast<std::uint64_t>(record.fresh_until));
  if (record.keep_until != record.fresh_until)
    parts |= kKeep, at = store(at, static_cast<std::uint64_t>(record.keep_until));
  if (record.number != 0) parts |= kNumber, at = store(at, static_cast<std::uint64_t>(record.number));
  if (!record.key.empty()) parts |= kKey, at = store(at, static_cast<std::uint32_t>(record.key.size()));
  if (record.tag_count != 0) {
    parts |= kTags;
    at = store(store(at, static_cast<std::uint32_t>(record.tags.size())), record.tag_count);
  }
  if (!record.notes.empty()) parts |= kNotes, at = store(at, static_cast<std::uint32_t>(record.notes.size()));
  fixed[0] = static_cast<char>(kMagic);
  fixed[1] = static_cast<char>(kFormat);
  fixed[2] = static_cast<char>(code_of(record.kind));
  fixed[3] = static_cast<char>(parts);
  const std::size_t start = to.size(), size = static_cast<std::size_t>(at - fixed);
  const bool is_all = record.key.empty() && record.tags.empty() && record.notes.empty();
  std::string_view summed(fixed + kSummedFrom, size - kSummedFrom);
  if (!is_all) {
    to.append(fixed, size).append(record.key).append(record.tags).append(record.notes);
    summed = std::string_view(to).substr(start + kSummedFrom);
  }
  const std::uint64_t sum = fingerprint_join(sum_of(summed, record.text, wire_key), load_little<std::uint32_t>(fixed));
  store(is_all ? fixed + kSumAt : to.data() + start + kSumAt, sum);
  if (is_all) to.append(fixed, size);
  return std::string_view(to).substr(start);
}

bool decode_record(std::string_view from, std::string_view wire_key, Record& record) noexcept {
  if (from.size() < kSummedFrom + 8) return false;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(from[at]); };
  if (byte(0) != kMagic || byte(1) != kFormat || byte(2) >= std::size(kKinds)) return false;
  const unsigned parts = byte(3);
  Taker taker(from.substr(kSumAt));
  const auto sum = taker.number<std::uint64_t>();
  record = {};
  record.kind = kKinds[byte(2)];
  record.version = taker.number<std::uint64_t>();
  if ((parts & kGeneration) != 0) record.generation = taker.number<std::uint64_t>();
  if ((parts & kFresh) != 0) record.fresh_until = static_cast<std::int64_t>(taker.number<std::uint64_t>());
  record.keep_until = record.fresh_until;
  if ((parts & kKeep) != 0) record.keep_until = static_cast<std::int64_t>(taker.number<std::uint64_t>());
  if ((parts & kNumber) != 0) record.number = static_cast<std::int64_t>(taker.number<std::uint64_t>());
  std::uint32_t key_size = 0, tag_size = 0, note_size = 0;
  if ((parts & kKey) != 0) key_size = taker.number<std::uint32_t>();
  if ((parts & kTags) != 0) {
    tag_size = taker.number<std::uint32_t>();
    record.tag_count = taker.number<std::uint16_t>();
  }
  if ((parts & kNotes) != 0) note_size = taker.number<std::uint32_t>();
  record.key = taker.bytes(key_size);
  record.tags = taker.bytes(tag_size);
  record.notes = taker.bytes(note_size);
  record.text = taker.rest();
  if (taker.is_short() || record.version == 0) return false;
  const std::string_view head = from.substr(kSummedFrom, from.size() - kSummedFrom - record.text.size());
  return fingerprint_join(sum_of(head, record.text, wire_key), load_little<std::uint32_t>(from.data())) == sum;
}

void encode_tags(std::span<const TagStamp> tags, std::string& to) {
  for (const TagStamp& tag : tags) {
    char fixed[kTagBytes];
    store(store(fixed, tag.epoch), static_cast<std::uint32_t>(tag.name.size()));
    to.append(fixed, sizeof fixed).append(tag.name);
  }
}

bool decode_tags(std::string_view from, std::size_t count, std::vector<TagStamp>& tags) {
  Taker taker(from);
  for (; count > 0 && !taker.is_short(); --count) {
    const auto epoch = taker.number<std::uint64_t>();
    const auto size = taker.number<std::uint32_t>();
    tags.push_back({taker.bytes(size), epoch});
  }
  return !taker.is_short() && taker.rest().empty();
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
