// Commands of the user's own, whose answers may be anything: hiredis takes them apart.
#include <hiredis/read.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "redirect.hpp"
#include "redis_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr int kMostElements = 1'000'000;

/// Builds replies as hiredis tells of them: a parent before its elements, in order.
struct Building {
  static RedisReply* place(const redisReadTask* task) {
    if (task->parent == nullptr) return static_cast<RedisReply*>(task->privdata);
    auto& above = static_cast<RedisReply*>(task->parent->obj)->elements;
    return &above[static_cast<std::size_t>(task->idx)];
  }
  static void* text(const redisReadTask* task, char* data, std::size_t size) {
    RedisReply* const reply = place(task);
    reply->kind = task->type == REDIS_REPLY_ERROR    ? RedisReply::Kind::error
                  : task->type == REDIS_REPLY_STATUS ? RedisReply::Kind::status
                                                     : RedisReply::Kind::text;
    reply->text.assign(data, size);
    return reply;
  }
  static void* array(const redisReadTask* task, int size) {
    RedisReply* const reply = place(task);
    reply->kind = RedisReply::Kind::array;
    if (size < 0 || size > kMostElements) return nullptr;
    reply->elements.resize(static_cast<std::size_t>(size));
    return reply;
  }
  static void* integer(const redisReadTask* task, long long number) {
    RedisReply* const reply = place(task);
    reply->kind = RedisReply::Kind::integer;
    reply->integer = number;
    return reply;
  }
  static void* nothing(const redisReadTask* task) { return place(task); }
  static void release(void*) {}

  static redisReplyObjectFunctions* functions() {
    static redisReplyObjectFunctions all{text, array, integer, nothing, release};
    return &all;
  }
};

struct FreeReader {
  void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
};

/// What would leave the connection in another state than others expect.
bool changes_the_connection(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::toupper(c); });
  constexpr std::array kSuch{"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR",  "MULTI",     "EXEC",  "DISCARD",
                             "WATCH",     "UNWATCH",    "SELECT",     "AUTH",     "HELLO",     "RESET", "QUIT",
                             "SYNC",      "PSYNC",      "ASKING",     "READONLY", "READWRITE", "CLIENT"};
  return std::find(kSuch.begin(), kSuch.end(), word) != kSuch.end();
}

}  // namespace

Result<RedisReply> Replies::whole() {
  RedisReply reply;
  const std::unique_ptr<redisReader, FreeReader> reader(redisReaderCreateWithFunctions(Building::functions()));
  if (!reader) return Error{Errc::unavailable, "no memory"};
  reader->privdata = &reply;
  bool is_broken = false;
  auto read = connection_.read_raw(
      [&](std::string_view bytes) {
        void* whole = nullptr;
        is_broken = redisReaderFeed(reader.get(), bytes.data(), bytes.size()) != REDIS_OK ||
                    redisReaderGetReply(reader.get(), &whole) != REDIS_OK ||
                    (whole != nullptr && reader->len != reader->pos);
        return is_broken || whole != nullptr;
      },
      deadline_);
  if (!read.ok()) return Result<RedisReply>(read.take_error());
  if (is_broken) return unexpected();
  return reply;
}

Result<RedisReply> ServerStore::command(const std::vector<std::string>& words) { return command_at({}, words); }

Result<RedisReply> ServerStore::command_at(Where where, const std::vector<std::string>& words) {
  if (wrong_) return placed(*wrong_, "command");
  if (words.empty()) return placed({Errc::unsupported, "a command has at least one word"}, "command");
  if (changes_the_connection(words.front()))
    return placed({Errc::unsupported, words.front() + " changes the connection, which others use as well"}, "command");
  ThreadCommands commands;
  commands->alone().begin(words.size());
  for (const std::string& word : words) commands->word(word);
  RedisReply reply;
  auto done = client_->call(where, *commands, Again::no, [&](Replies& replies) -> Result<void> {
    auto whole = replies.whole();
    if (!whole.ok()) return Result<void>(whole.take_error());
    reply = std::move(*whole);
    if (reply.kind == RedisReply::Kind::error && is_redirect(reply.text)) replies.refuse(from_server(reply.text));
    return {};
  });
  if (!done.ok()) return placed(std::move(done.error()), "command");
  return reply;
}

// Lines of name:value, between titles that begin with a hash sign.
Result<std::map<std::string, std::string>> ServerStore::info(std::string_view section) {
  using Facts = std::map<std::string, std::string>;
  std::vector<std::string> words{"INFO"};
  if (!section.empty()) words.emplace_back(section);
  auto reply = command(words);
  if (!reply.ok()) return Result<Facts>(reply.take_error());
  if (reply->kind == RedisReply::Kind::error) return placed(from_server(reply->text), "info");
  Facts facts;
  std::string_view rest = reply->text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (line.starts_with('#') || colon == line.npos) continue;
    facts.emplace(line.substr(0, colon), line.substr(colon + 1));
  }
  return facts;
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
