// The store itself: the contract's verbs as commands and scripts, for a server; on a cluster, those on one key.
#pragma once
#include <flux/cache/stores/redis.hpp>

#include <array>
#include <atomic>
#include <memory>

#include "client.hpp"
#include "core/tag_record.hpp"
#include "core/wall_time.hpp"
#include "layout.hpp"
#include "record.hpp"
#include "tag_facts.hpp"
#include "tag_hints.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

class ServerStore : public RedisStore, public std::enable_shared_from_this<ServerStore> {
 public:
  ServerStore(const RedisConfig& config, std::unique_ptr<Client> client, Spread spread, std::unique_ptr<Error> wrong);

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
  Result<std::vector<std::uint64_t>> epochs(std::span<const std::string_view> tags) override;
  Result<void> scan(Space space, Visitor visit) override;
  Result<std::size_t> prune(std::size_t budget) override;

  Result<std::map<std::string, std::string>> info(std::string_view section) override;
  Result<RedisReply> command(const std::vector<std::string>& words) override;
  std::string stored_key(const Key& key) const override;

 protected:
  /// One look at the clock, for all that a call turns from wall time and back.
  using Now = WallTime;
  /// What a write sends.
  struct Draft {
    /// `version`: the one to have; 0: another one.
    Draft(const ServerStore& store, const Key& key, const Entry& entry, const Now& now, std::uint64_t generation,
          std::uint64_t version = 0);

    std::string bytes;  // the head, tags and notes, and a number
    std::string_view text;
    std::size_t meta_bytes;
    std::int64_t life;      // milliseconds until the server may reclaim it; 0: for ever
    std::int64_t tag_life;  // likewise, of its tags' records
    std::uint64_t version;
  };
  enum class Fit : std::uint8_t { hit, miss, foreign, stranger };
  using TagRecords = std::vector<std::pair<std::string_view, TagRecord>>;

  Error placed(Error error, const char* operation, const Key* key = nullptr) const;
  /// Of what stands under a key and is no record.
  std::unique_ptr<Error> foreign(const Key& key, const char* operation) const;
  std::unique_ptr<Error> refuse(const Key& key, const Entry& entry) const;
  std::uint32_t check_of(const Key& key) const noexcept;
  const std::string& root(Space space) const noexcept { return roots_[static_cast<std::size_t>(space)]; }
  void key_word(Commands& commands, const Key& key) const;
  /// The generation of a group that an element tells; 0: there is none. It is noted.
  std::uint64_t note_generation(std::size_t group, const Element& element) noexcept;
  std::int64_t life_until(Instant keep_until, const Now& now) const noexcept;

  /// Does the element hold the key's entry, by generation and deadlines? Tags are another question.
  Fit fit(const Element& element, const Key& key, bool stale, const Now& now, std::uint64_t generation,
          Record& record) const;
  static Entry entry_of(const Record& record, const Now& now);
  Head head_of(const Key& key, const Entry& entry, const Now& now, std::uint64_t generation,
               std::uint64_t version) const;
  void set_command(Commands& commands, const Key& key, const Draft& draft) const;
  /// Likewise, of an entry without tags and notes; borrows a long value alone. `words` are made anew where its lifetime
  /// is not that of the last one. PSETEX has a word less.
  void set_short(Commands& commands, const Key& key, const Entry& entry, const Now& now, std::uint64_t generation,
                 bool by_psetex, SetWords& words) const;
  /// KEYS and ARGV that every script on one key begins with: words, and how many there are.
  static std::size_t script_words(Space space, std::size_t keys);
  void script_opening(Commands& commands, std::span<const Key> keys, const Now& now) const;
  void draft_words(Commands& commands, const Draft& draft, std::string_view epochs) const;
  Result<std::int64_t> run(Script script, const Key& key, const Now& now, std::size_t more, Again again,
                           detail::FunctionRef<void(Commands&)> arguments);
  /// By plain commands where the tags' records are known, else by the script.
  Result<bool> put_under_tags(const Key& key, const Entry& entry, const Now& now);
  Result<bool> put_by_script(const Key& key, const Entry& entry, const Write& how, const Now& now);
  /// Does it keep the tags' records itself? A cluster leaves tags to the layer: their records are on other nodes.
  bool has_own_tags() const noexcept { return !tag_root_.empty(); }

  virtual Result<std::size_t> reclaim(Space space, std::span<const Key> keys, const Now& now);
  /// Some of the keys that match, and in `cursor` where to go on; "0": this was all.
  virtual Result<std::vector<std::string>> scan_page(std::string& cursor, const std::string& pattern,
                                                     std::size_t count);
  std::string fresh_epochs(std::size_t count) const;
  /// A key's text from what it is called on the server; empty: it is none of ours.
  std::string_view text_of(std::string_view stored, std::string_view before) const noexcept;
  /// A pattern of the server's that matches what begins so.
  static std::string begins_with(std::string_view text);
  static void scan_command(Commands& commands, std::string_view cursor, const std::string& pattern, std::size_t count);
  static Result<void> scanned(Replies& replies, std::string& cursor, std::vector<std::string>& keys);
  void reclaim_behind();
  Result<RedisReply> command_at(Where where, const std::vector<std::string>& words);

  const Clock& clock_;
  const std::unique_ptr<Error> wrong_;
  const std::unique_ptr<Client> client_;
  const std::array<std::string, 4> roots_;  // what stands before a key, for each space
  Layout layout_;

 private:
  class Transaction;

  Result<std::uint64_t> learn_generation();
  /// What the script tells of the records of these tags, asked at that moment or later.
  void note_facts(std::span<const TagStamp> tags, std::string_view said, TagFact::Clock::time_point asked);
  Result<TagRecords> read_tags(std::span<const std::string_view> tags);
  Result<bool> are_spared(std::span<const TagStamp> tags);
  Result<void> flush_any(std::span<const std::string_view> tags);
  Result<void> flush_all_of(std::span<const std::string_view> tags);
  void tag_word(Commands& commands, std::string_view tag) const;

  Result<std::size_t> reclaim_page(Space space, const std::vector<std::string>& page, const Now& now);
  void reclaim_later(std::string cursor, const Now& now);

  const std::string tag_root_;
  const std::uint64_t max_value_;
  const Duration margin_;
  std::atomic<std::size_t> bytes_each_{0};  // of the entries that the last batch found; a guess at the next one's
  std::atomic<int> quiet_refusals_{0};      // in a row, of transactions without answers
  TagHints hints_;
  TagFacts facts_;
  std::atomic<bool> reclaiming_{false};
  std::mutex prune_mutex_;
  std::string prune_cursor_ = "0";
  std::size_t prune_space_ = 0;
};

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
