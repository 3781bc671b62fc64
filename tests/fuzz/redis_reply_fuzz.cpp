// Any bytes as a redis server's replies: read the same however they are cut, by our own reader and by hiredis' for
// commands of the user's own, and what both can read is the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "fuzz/answer.hpp"
#include "stores/redis/client.hpp"
#include "stores/redis/record.hpp"

using flux::cache::RedisReply;
using flux::cache::fuzz::Answer;
namespace net = flux::cache::detail::net;
namespace redis = flux::cache::detail::redis;

namespace {

constexpr std::size_t kLargest = 1 << 20;
constexpr std::size_t kWhole = SIZE_MAX;

struct One {
  redis::Element::Kind kind;
  std::int64_t number;
  std::string text;

  bool operator==(const One&) const = default;
};

struct Outcome {
  bool is_read = false;
  std::vector<One> elements;
  std::size_t used = 0;  // bytes, where they came one by one

  bool operator==(const Outcome& other) const { return is_read == other.is_read && elements == other.elements; }
};

Outcome read_elements(std::string_view bytes, std::size_t replies, std::size_t piece) {
  Answer answer(bytes, piece);
  redis::Connection connection(answer.take_stream());
  const net::Deadline deadline = net::Deadline::in(Answer::kPatience);
  Outcome outcome;
  if (!connection.send(std::string_view("asked"), replies, deadline).ok()) std::abort();
  do {
    auto element = connection.read(kLargest, deadline);
    if (!element.ok()) {
      if (element.error().message.empty()) std::abort();
      return outcome;
    }
    if (element->text.size() > kLargest && element->kind == redis::Element::Kind::text) std::abort();
    redis::Record record;
    (void)redis::decode(element->text, 0, record);
    const bool has_number =
        element->kind == redis::Element::Kind::integer || element->kind == redis::Element::Kind::array;
    outcome.elements.push_back({element->kind, has_number ? element->number : 0, std::string(element->text)});
  } while (!connection.is_clean());
  outcome.is_read = true;
  outcome.used = answer.handed_out();
  return outcome;
}

void flatten(const RedisReply& reply, std::vector<One>& to) {
  using Kind = redis::Element::Kind;
  switch (reply.kind) {
    case RedisReply::Kind::text: to.push_back({Kind::text, 0, reply.text}); break;
    case RedisReply::Kind::status: to.push_back({Kind::status, 0, reply.text}); break;
    case RedisReply::Kind::error: to.push_back({Kind::error, 0, reply.text}); break;
    case RedisReply::Kind::integer: to.push_back({Kind::integer, reply.integer, {}}); break;
    case RedisReply::Kind::nothing: to.push_back({Kind::nothing, 0, {}}); break;
    case RedisReply::Kind::array:
      to.push_back({Kind::array, static_cast<std::int64_t>(reply.elements.size()), {}});
      for (const RedisReply& each : reply.elements) flatten(each, to);
  }
}

Outcome read_whole(std::string_view bytes, std::size_t piece) {
  Answer answer(bytes, piece);
  redis::Connection connection(answer.take_stream());
  const net::Deadline deadline = net::Deadline::in(Answer::kPatience);
  Outcome outcome;
  if (!connection.send(std::string_view("asked"), 1, deadline).ok()) std::abort();
  auto reply = redis::Replies(connection, deadline).whole();
  if (!reply.ok()) return outcome;
  flatten(*reply, outcome.elements);
  outcome.is_read = true;
  outcome.used = answer.handed_out();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t replies = 1 + data[0] % 4, piece = 1 + data[1] % 32;
  const std::string_view bytes = std::string_view(reinterpret_cast<const char*>(data), size).substr(2, Answer::kMost);

  // A reader that gets all of it may see that too much was said. So what one needs is found first, byte by byte.
  const Outcome dripped = read_elements(bytes, replies, 1);
  const std::string_view needed = dripped.is_read ? bytes.substr(0, dripped.used) : bytes;
  if (!(read_elements(needed, replies, kWhole) == dripped)) std::abort();
  if (!(read_elements(needed, replies, piece) == dripped)) std::abort();

  const Outcome built = read_whole(bytes, 1);
  const std::string_view one = built.is_read ? bytes.substr(0, built.used) : bytes;
  if (!(read_whole(one, kWhole) == built) || !(read_whole(one, piece) == built)) std::abort();
  if (replies == 1 && built.is_read && dripped.is_read && !(built == dripped)) std::abort();
  return 0;
}
