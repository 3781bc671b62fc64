// The store itself: the contract's verbs as commands to the servers.
//
// Values carry the generation of their server, a random number under a key of its own. A read asks for entry and
// generation in one burst; a write that turns out to have been stamped with an older one is made again.
#pragma once
#include <flux/cache/stores/memcached.hpp>

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "continuum.hpp"
#include "core/wall_time.hpp"
#include "record.hpp"
#include "server.hpp"
#include "wire_key.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

/// A generation as it stands under its key, and back; 0: there is none.
inline std::string encode_generation(std::uint64_t generation) {
  return {reinterpret_cast<const char*>(&generation), sizeof generation};
}
inline std::uint64_t generation_in(const Reply& reply) noexcept {
  std::uint64_t generation = 0;
  if (reply.status == Status::found && reply.value.size() == sizeof generation)
    std::memcpy(&generation, reply.value.data(), sizeof generation);
  return generation;
}

/// Whether libmemcached and its protocol are asked for.
bool is_binary(const MemcachedConfig& config) noexcept;
/// What the configuration says of TLS; any of its options asks for it.
net::TlsOptions tls_options(const MemcachedConfig& config);

class ServersStore final : public MemcachedStore {
 public:
  ServersStore(const MemcachedConfig& config, std::unique_ptr<Error> why_not);

  Traits traits() const noexcept override;
  Result<bool> get(const Key& key, const Read& how, Receiver found) override;
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override;
  Result<bool> forget(const Key& key, const Forget& how) override;
  Result<void> flush(const Scope& scope) override;
  Result<bool> has(const Key& key) override;
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override;
  Result<bool> touch(const Key& key, const Expiry& expiry) override;
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override;
  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override;
  Result<BatchWritten> put_many(std::span<const Item> items) override;
  Result<std::size_t> forget_many(std::span<const Key> keys) override;
  Result<void> scan(Space space, Visitor visit) override;

  std::vector<MemcachedServerStats> stats() override;
  std::size_t server_of(const Key& key) const override { return continuum_.server_of(codec_.encode(key)); }

 private:
  /// What stands under a key.
  struct Seen {
    enum State {
      nothing,
      foreign,  ///< not one of ours, or damaged
      other,    ///< another key of the same digest
      gone,     ///< expired, or flushed
      kept,     ///< past its life
      fresh,
    };
    State state = nothing;
    Record record{};  ///< borrowed from the reply, from `other` on
    std::uint64_t cas = 0;

    bool is_kept() const noexcept { return state >= kept; }
  };
  /// A key as its server knows it. Borrows both forms of it.
  struct Address {
    std::string_view key;
    std::string_view wire;
    Server& server;
    std::size_t server_index;
    bool is_digest;   ///< the wire key is
    bool is_stamped;  ///< carries a generation: flushes reach it
    bool is_plain;    ///< may be a document without a record around it
  };
  /// The same for one key on its way.
  struct Target {
    Key key;
    WireKey wire;
    Server& server;
    std::size_t server_index;
    bool is_stamped;
    bool is_plain;

    operator Address() const noexcept {
      return {key.text(), wire, server, server_index, wire.is_digest(), is_stamped, is_plain};
    }
  };
  /// The same for many.
  class Addresses;
  /// An item as it is sent, with what it borrows.
  struct Packed {
    std::string_view head{};
    std::string_view body{};
    std::int32_t expires = 0;
    std::uint64_t generation = 0;  ///< 0: of a document, which carries none
    std::uint64_t version = 0;

    Command command(Verb verb, std::string_view wire, std::uint64_t cas = 0) const {
      return {.verb = verb, .key = wire, .head = head, .body = body, .expires = expires, .cas = cas};
    }
  };
  Target target_of(const Key& key);
  net::Deadline deadline() const { return net::Deadline::in(timeout_); }
  Result<void> check(const Key& key) const;
  Result<void> check(const Key& key, const Entry& entry) const;
  static Result<void> check_size(const Address& address, const Packed& item);

  /// The generation as it is kept, or learned from the server, or begun there.
  Result<std::uint64_t> generation_of(Server& server, const net::Deadline& deadline);
  /// Remembers what a reply says; true: it is `stamp`.
  bool is_current(Server& server, const Reply& reply, std::uint64_t stamp) const noexcept;
  Command ask_generation() const { return {.verb = Verb::get, .key = codec_.generation(), .is_apart = true}; }

  /// Remembers a value that was to be replaced or removed, where the server could not be told so.
  static void owe(const Address& address, const Error& why);
  static Seen look(const Address& address, const Reply& item, std::uint64_t generation, std::int64_t now) noexcept;
  static Seen look(const Address& address, const Reply& item, const Reply& generation, std::int64_t now) noexcept {
    return look(address, item, generation_in(generation), now);
  }
  bool is_plain(Space space) const noexcept { return plain_ && space == Space::values; }
  /// The record's value as a document, where it is nothing more.
  bool write_document(const Address& address, const Record& record, const WallTime& now, std::string& heads,
                      Packed& item) const;
  /// Hands the entry to whoever asked. False: its tags do not decode.
  bool hand_over(const Record& record, const WallTime& now, Receiver found) const;
  /// Takes a damaged item away, unless it was replaced meanwhile.
  void clear_away(const Target& target, const net::Deadline& deadline);

  /// Appends the item's head to `heads`, which it borrows: who makes several there leaves room for them beforehand.
  /// `version`: the one to have; 0: another one. `generation`, as the record's: the one under which was read what is
  /// replaced, so that a flush in between ends this too; 0: nothing is, and the server's own holds.
  Result<Packed> make_item(const Address& address, const Entry& entry, const WallTime& now, std::string& heads,
                           const net::Deadline& deadline, std::uint64_t version = 0, std::uint64_t generation = 0);
  Result<Packed> make_item(const Address& address, Record record, const WallTime& now, std::string& heads,
                           const net::Deadline& deadline, std::uint64_t version = 0);
  /// How long an item's head is at most.
  static std::size_t longest_head(const Address& address, const Entry& entry) noexcept;
  Result<bool> put_always(const Target& target, const Entry& entry, const net::Deadline& deadline);
  Result<bool> put_where_nothing(const Target& target, const Entry& entry, Seen::State from, std::uint64_t version,
                                 const net::Deadline& deadline);
  Result<bool> put_over(const Target& target, const Entry& entry, const Write& how, const net::Deadline& deadline);
  /// Reads entry and generation with the number for a swap. `bytes` holds what the answer borrows.
  Result<Seen> read_for_swap(const Target& target, std::string& bytes, const net::Deadline& deadline);
  enum class Swapped : bool { no, yes };
  Result<Swapped> swap(const Target& target, const Packed& item, std::uint64_t cas, const net::Deadline& deadline);
  Result<Swapped> remove(const Target& target, std::uint64_t cas, const net::Deadline& deadline);

  class Fan;
  void get_slice(std::span<const Key> keys, std::size_t first, const Read& how, BatchReceiver found,
                 const net::Deadline& deadline, std::unique_ptr<Error>& error);
  void put_slice(std::span<const Item> items, std::size_t first, const net::Deadline& deadline, BatchWritten& outcome);

  Result<std::set<std::string>> wire_keys(Server& server, Space space);

  std::int64_t wall() const noexcept { return clock_.wall().time_since_epoch().count(); }
  /// What a call takes for the present, for all of its entries.
  WallTime now() const noexcept { return WallTime(clock_); }
  /// The server's share of a lifetime, as the protocol has it.
  std::int32_t expires_of(std::int64_t keep_until, std::int64_t now) const noexcept;

  const std::uint64_t max_value_;
  const Duration timeout_;
  const bool lists_;
  const bool plain_;
  const Clock& clock_;
  const KeyCodec codec_;
  const Continuum continuum_;
  std::vector<std::unique_ptr<Server>> servers_;
  const std::unique_ptr<const Error> why_not_;
};

/// An error of this store, with where it happened.
inline Error placed(Error error, std::string_view operation, const Key* key = nullptr) {
  error.store = "memcached";
  error.operation = operation;
  if (key != nullptr) error.key = key->text();
  return error;
}

/// Competing writers may make a swap fail; each failure means that another one got through.
inline constexpr int kMostAttempts = 10'000;
inline Error contended() { return {Errc::unavailable, "too many writers on one key"}; }
/// Lets competing writers of one key get out of each other's way. True: some time has passed.
bool step_back(int attempt);

/// What a server says against a command, as an error.
inline std::unique_ptr<Error> fault_of(const Server& server, const Reply& reply) {
  if (reply.status == Status::too_large)
    return std::make_unique<Error>(
        net::fault(server.endpoint(), Errc::too_large, "writing", "the server takes no item so large"));
  if (reply.status == Status::refused || reply.status == Status::doubtful)
    return std::make_unique<Error>(net::fault(server.endpoint(), Errc::unavailable, "writing",
                                              "the server answered: " + std::string(reply.value.substr(0, 200))));
  return nullptr;
}

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
