#include "library_connection.hpp"

#include <algorithm>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

namespace {

/// The binary protocol takes a lifetime below zero for none at all.
constexpr time_t kBriefly = 1;

time_t lifetime_of(const Command& command) noexcept {
  return command.expires == kGone ? kBriefly : static_cast<time_t>(command.expires);
}

memcached_return_t take_stat(const memcached_instance_st*, const char* name, size_t name_size, const char* value,
                             size_t value_size, void* all) {
  static_cast<std::map<std::string, std::string>*>(all)->emplace(std::string(name, name_size),
                                                                 std::string(value, value_size));
  return MEMCACHED_SUCCESS;
}

Errc code_of(memcached_return_t code) noexcept {
  switch (code) {
    case MEMCACHED_TIMEOUT: return Errc::timeout;
    case MEMCACHED_AUTH_PROBLEM:
    case MEMCACHED_AUTH_FAILURE:
    case MEMCACHED_AUTH_CONTINUE: return Errc::denied;
    default: return Errc::unavailable;
  }
}

}  // namespace

Error LibraryConnection::fault(const char* doing, memcached_return_t code) const {
  return net::fault(endpoint_, code_of(code), doing, memcached_strerror(handle_.get(), code));
}

void LibraryConnection::abandon() noexcept {
  // Giving the handle back would say goodbye on the parent's connection.
  (void)handle_.release();
}

void LibraryConnection::set_timeouts(const net::Deadline& deadline) noexcept {
  const auto left = std::max<std::uint64_t>(static_cast<std::uint64_t>(deadline.left().count()), 1'000);
  memcached_st* const handle = handle_.get();
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, left / 1'000);
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, left / 1'000);
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_SND_TIMEOUT, left);
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_RCV_TIMEOUT, left);
}

Result<std::unique_ptr<LibraryConnection>> LibraryConnection::connect(const net::Endpoint& endpoint,
                                                                      const std::string& username,
                                                                      const std::string& password,
                                                                      const net::Deadline& deadline) {
  std::unique_ptr<LibraryConnection> one(new LibraryConnection(endpoint));
  one->handle_.reset(memcached_create(nullptr));
  memcached_st* const handle = one->handle_.get();
  if (handle == nullptr) return Error{Errc::unavailable, "no memory for a connection"};
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, 1);
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
  memcached_behavior_set(handle, MEMCACHED_BEHAVIOR_NO_BLOCK, 1);
  one->set_timeouts(deadline);
  if (!username.empty()) {
    const auto code = memcached_set_sasl_auth_data(handle, username.c_str(), password.c_str());
    if (code != MEMCACHED_SUCCESS)
      return net::fault(endpoint, Errc::bad_config, "logging in", "the library at hand has no SASL");
  }
  const auto added = endpoint.socket.empty() ? memcached_server_add(handle, endpoint.host.c_str(), endpoint.port)
                                             : memcached_server_add_unix_socket(handle, endpoint.socket.c_str());
  if (added != MEMCACHED_SUCCESS) return one->fault("connecting", added);
  return one;
}

Result<std::map<std::string, std::string>> LibraryConnection::stats(const char* what, const net::Deadline& deadline) {
  set_timeouts(deadline);
  std::map<std::string, std::string> all;
  const auto code = memcached_stat_execute(handle_.get(), what, take_stat, &all);
  if (code != MEMCACHED_SUCCESS) return fault("asking for statistics", code);
  return all;
}

// The library sends when it is asked for the answers.
Result<void> LibraryConnection::close(std::span<const Command> all, const net::Deadline&) {
  sent_ = all;
  has_begun_ = false;
  values_.clear();
  return {};
}

Result<void> LibraryConnection::receive(std::span<Reply> replies, const net::Deadline& deadline) {
  for (std::size_t at = 0; at < sent_.size();) {
    if (deadline.is_past()) return net::timed_out(endpoint_, "asking");
    set_timeouts(deadline);
    std::size_t end = at;
    while (end < sent_.size() && sent_[end].verb == Verb::get) ++end;
    auto done = end > at ? fetch(at, end - at, replies) : write(sent_[at], replies[at]);
    if (!done.ok()) return done;
    has_begun_ = true;
    at = std::max(end, at + 1);
  }
  sent_ = {};
  return {};
}

Result<void> LibraryConnection::receive_each(Sink take, const net::Deadline& deadline) {
  std::vector<Reply> replies(sent_.size());
  auto done = receive(replies, deadline);
  if (!done.ok()) return done;
  for (std::size_t i = 0; i < replies.size(); ++i)
    if (replies[i].status != Status::missing) take(i, replies[i]);
  return done;
}

Result<void> LibraryConnection::fetch(std::size_t first, std::size_t count, std::span<Reply> replies) {
  std::vector<const char*> keys;
  std::vector<std::size_t> sizes;
  std::unordered_multimap<std::string_view, std::size_t> places;
  for (std::size_t i = first; i < first + count; ++i) {
    replies[i] = {};
    const std::string_view key = sent_[i].key;
    const bool is_new = places.find(key) == places.end();
    places.emplace(key, i);
    if (!is_new) continue;
    keys.push_back(key.data());
    sizes.push_back(key.size());
  }
  auto code = memcached_mget(handle_.get(), keys.data(), sizes.data(), keys.size());
  if (code != MEMCACHED_SUCCESS) return fault("asking", code);
  // On the stack: one that it has allocated, the library frees by itself at the last answer, and only there.
  memcached_result_st result;
  memcached_result_create(handle_.get(), &result);
  const std::unique_ptr<memcached_result_st, decltype(&memcached_result_free)> held(&result, &memcached_result_free);
  while (memcached_fetch_result(handle_.get(), &result, &code) != nullptr) {
    const std::string_view key(memcached_result_key_value(&result), memcached_result_key_length(&result));
    const auto [begin, end] = places.equal_range(key);
    if (begin == end)
      return net::fault(endpoint_, Errc::unavailable, "reading an answer", "an answer to something else");
    const char* const value = memcached_result_value(&result);  // null where it is empty
    values_.emplace_back(value != nullptr ? value : "", memcached_result_length(&result));
    for (auto place = begin; place != end; ++place)
      replies[place->second] = {Status::found, memcached_result_cas(&result), values_.back()};
  }
  if (code != MEMCACHED_END && code != MEMCACHED_NOTFOUND && code != MEMCACHED_SUCCESS) return fault("asking", code);
  return {};
}

Result<void> LibraryConnection::write(const Command& command, Reply& reply) {
  memcached_st* const handle = handle_.get();
  const std::string_view key = command.key;
  const std::string value = std::string(command.head).append(command.body);
  memcached_return_t code = MEMCACHED_SUCCESS;
  switch (command.verb) {
    case Verb::get: break;
    case Verb::set:
      code = memcached_set(handle, key.data(), key.size(), value.data(), value.size(), lifetime_of(command), 0);
      break;
    case Verb::add:
      code = memcached_add(handle, key.data(), key.size(), value.data(), value.size(), lifetime_of(command), 0);
      break;
    case Verb::swap:
      code = memcached_cas(handle, key.data(), key.size(), value.data(), value.size(), lifetime_of(command), 0,
                           command.cas);
      break;
    case Verb::remove:
      // The library's delete knows no number, so an empty item takes the place for a moment.
      code = command.cas == 0 ? memcached_delete(handle, key.data(), key.size(), 0)
                              : memcached_cas(handle, key.data(), key.size(), "", 0, kBriefly, 0, command.cas);
      break;
  }
  reply = {};
  switch (code) {
    case MEMCACHED_SUCCESS:
    case MEMCACHED_STORED:
    case MEMCACHED_DELETED: reply.status = command.verb == Verb::remove ? Status::removed : Status::stored; return {};
    case MEMCACHED_NOTFOUND: reply.status = Status::missing; return {};
    case MEMCACHED_NOTSTORED:
    case MEMCACHED_DATA_EXISTS:
      reply.status = command.verb == Verb::add ? Status::not_stored : Status::changed;
      return {};
    case MEMCACHED_E2BIG:
    case MEMCACHED_KEY_TOO_BIG: reply.status = Status::too_large; return {};
    case MEMCACHED_SERVER_ERROR:
    case MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE:
    case MEMCACHED_MEMORY_ALLOCATION_FAILURE:
      reply.status = Status::refused;
      reply.value = values_.emplace_back(memcached_strerror(handle, code));
      return {};
    default: return fault("writing", code);
  }
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
