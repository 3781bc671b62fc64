#include <flux/cache/engine/registry.hpp>
#include <flux/cache/layers/recovering.hpp>

#include <mutex>
#include <optional>
#include <unordered_map>

#include "composite/background.hpp"
#include "composite/stripes.hpp"
#include "recovery_log.hpp"
#include "write_stamp.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

/// `found` without the stamp; what has none is handed on as it is.
template <class Found>
void show(const Entry& entry, Found& found) {
  has_stamp(entry.notes) ? found(without_stamp(entry)) : found(entry);
}

class RecoveringStore final : public Recovering, private engine::Registered {
 public:
  RecoveringStore(StorePtr inner, const RecoveryOptions& options)
      : Recovering(std::move(inner)),
        options_(options),
        clock_(options.clock != nullptr ? *options.clock : system_clock()),
        log_(options.max_keys) {
    enlist();
  }
  ~RecoveringStore() override {
    delist();
    background_.close();
  }

  Traits traits() const noexcept override { return inner().traits(); }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    if (waits()) [[unlikely]]
      if (auto answer = from_log(key, how, found)) return *std::move(answer);
    return inner().get(key, how, [&](const Entry& entry) { show(entry, found); });
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    if (key.space() != Space::values) return inner().put(key, entry, how);
    if (how.when != When::always && is_held_up(key)) return held_up(key, "put");
    const std::int64_t wall = now();
    std::string notes;
    Entry marked = entry;
    if (takes_a_stamp(entry)) marked.notes = notes = stamped(entry.notes, wall);
    if (how.when != When::always) return inner().put(key, marked, how);
    return write<bool>(
        key, "put", [&] { return inner().put(key, marked, how); }, [&] { log_.put(key.text(), marked, wall); });
  }

  Result<bool> forget(const Key& key, const Forget& how) override {
    if (key.space() != Space::values) return inner().forget(key, how);
    if (how.version != 0) return is_held_up(key) ? held_up(key, "forget") : inner().forget(key, how);
    const std::int64_t wall = now();
    return write<bool>(
        key, "forget", [&] { return inner().forget(key, how); }, [&] { log_.forget(key.text(), wall); });
  }

  Result<void> flush(const Scope& scope) override {
    if (waits()) catch_up_if_due();
    std::optional<Turn> turn;
    if (waits()) turn.emplace(turns_, Turn::All{});
    const std::int64_t wall = now();
    Result<void> done;
    if (!waits() || scope.tags.empty()) {
      done = inner().flush(scope);
      if (done.ok() && !scope.tags.empty()) return done;
      if (done.ok()) return clear(), Result<void>();
      if (!is_transient(done.error().code)) return done;
    } else {
      done = Result<void>(held_up(std::string_view(), "flush").take_error());
    }
    {
      const engine_guard guard(mutex_);
      scope.tags.empty() ? log_.flush(wall) : log_.flush_tags({scope.tags.begin(), scope.tags.end()}, scope.any, wall);
      count();
    }
    try_later();
    return done;
  }

  Result<bool> has(const Key& key) override {
    if (waits()) return get(key, {}, [](const Entry&) {});
    return inner().has(key);
  }
  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    if (is_held_up(key)) return held_up(key, "pull");
    return inner().pull(key, how, [&](const Entry& entry) { found(without_stamp(entry)); });
  }
  Result<bool> touch(const Key& key, const Expiry& expiry) override {
    return is_held_up(key) ? held_up(key, "touch") : inner().touch(key, expiry);
  }
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    if (is_held_up(key)) return Result<std::int64_t>(held_up(key, "increment").take_error());
    return inner().increment(key, by, if_new);
  }

  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    if (waits()) return Store::get_many(keys, how, found);
    const auto show = [&](std::size_t i, const Entry& entry) { found(i, without_stamp(entry)); };
    const auto hand_on = [&](std::size_t i, std::unique_ptr<Error> why) { found.unreadable(i, std::move(why)); };
    return inner().get_many(keys, how, {show, hand_on});
  }

  Result<BatchWritten> put_many(std::span<const Item> items) override {
    if (waits()) catch_up_if_due();
    if (waits()) return Store::put_many(items);
    const std::int64_t wall = now();
    std::vector<std::string> notes(items.size());
    std::vector<Item> marked(items.begin(), items.end());
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i].key.space() == Space::values && takes_a_stamp(items[i].entry))
        marked[i].entry.notes = notes[i] = stamped(items[i].entry.notes, wall);
    auto written = inner().put_many(marked);
    const bool lost_all = !written.ok() && is_transient(written.error().code);
    const bool lost_some = written.ok() && written->error && is_transient(written->error->code);
    if (!lost_all && !lost_some) return written;
    {
      const engine_guard guard(mutex_);
      const auto keep = [&](std::size_t i) {
        if (marked[i].key.space() == Space::values) log_.put(marked[i].key.text(), marked[i].entry, wall);
      };
      if (lost_all)
        for (std::size_t i = 0; i < marked.size(); ++i) keep(i);
      else
        for (const std::size_t i : written->failed) keep(i);
      count();
    }
    try_later();
    return written;
  }

  Result<std::size_t> forget_many(std::span<const Key> keys) override {
    if (waits()) catch_up_if_due();
    if (waits()) return Store::forget_many(keys);
    const std::int64_t wall = now();
    auto gone = inner().forget_many(keys);
    if (gone.ok() || !is_transient(gone.error().code)) return gone;
    {
      const engine_guard guard(mutex_);
      for (const Key& key : keys)
        if (key.space() == Space::values) log_.forget(key.text(), wall);
      count();
    }
    try_later();
    return gone;
  }

  Result<void> scan(Space space, Visitor visit) override {
    return inner().scan(space, [&](std::string_view key, const Entry& entry) {
      if (space == Space::values && waits() && from_log(Key(key), {.stale = true}, [](const Entry&) {})) return true;
      return visit(key, without_stamp(entry));
    });
  }

  std::size_t waiting() const override { return waiting_.load(std::memory_order_acquire); }
  bool is_waiting(const Key& key) const override {
    if (!waits() || key.space() != Space::values) return false;
    const engine_guard guard(mutex_);
    return log_.about(key.text()).has_value() || log_.tag_flush_waits();
  }

  void overtaken(std::string_view key, std::int64_t wall) override {
    take_back(key, wall);
    if (!waits()) return;
    const engine_guard guard(mutex_);
    const auto operation = log_.about(key);
    const bool is_older = operation && (*operation)->key == key && (*operation)->wall < wall;
    if (is_older && (*operation)->only == 0) log_.drop(key);  // what is to be taken back must go all the same
    count();
  }
  void overtaken_by_flush(std::span<const std::string_view> tags, bool any, std::int64_t wall) override {
    take_back(tags, any, wall);
    if (!waits()) return;
    const engine_guard guard(mutex_);
    log_.flushed(tags, any, wall);
  }

  bool catch_up() override {
    const std::unique_lock alone(catching_up_, std::try_to_lock);
    return alone && do_all();
  }

 private:
  /// What waits, in order, as far as the store takes it. By one thread at a time.
  bool do_all() {
    for (;;) {
      RecoveryLog::Operation next;
      std::uint64_t number = 0;
      {
        const engine_guard guard(mutex_);
        const auto* const first = log_.first();
        if (first == nullptr) return true;
        number = first->first;
        next = {.kind = first->second.kind,
                .key = first->second.key,
                .entry = EntryCopy(first->second.entry.view()),
                .tags = first->second.tags,
                .any = first->second.any,
                .wall = first->second.wall,
                .only = first->second.only};
      }
      {
        // Nobody writes the key between the look and the write, nor finds what waits gone before it is done.
        const auto turn = next.key.empty() ? Turn(turns_, Turn::All{}) : Turn(turns_, Key(next.key));
        if (!is_first(number)) continue;
        if (!redo(next)) return false;
        const engine_guard guard(mutex_);
        const auto* const first = log_.first();
        if (first != nullptr && first->first == number && first->second.kind != next.kind) continue;
        // Word of something later came while it was done.
        if ((first == nullptr || first->first != number) && next.kind == RecoveryLog::Kind::put &&
            !log_.about(next.key))
          log_.forget(next.key, next.wall, next.wall);
        log_.done(number);
        count();
      }
      if (options_.on_caught_up)
        options_.on_caught_up({.key = next.key, .tags = next.tags, .any = next.any, .wall = next.wall});
    }
  }

  using engine_guard = std::scoped_lock<engine::Lock>;
  using Turn = composite::Stripes::Turn;

  /// A put that waited and was done, for as long as word of something later may still come.
  struct Redone {
    EntryCopy tags;
    std::int64_t wall;
    std::chrono::steady_clock::time_point when;
  };

  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork() noexcept override { mutex_.unlock(); }

  bool waits() const noexcept { return waiting_.load(std::memory_order_relaxed) != 0; }
  void count() { waiting_.store(log_.size(), std::memory_order_release); }
  std::int64_t now() const { return clock_.wall().time_since_epoch().count(); }

  Result<bool> held_up(const Key& key, const char* operation) const { return held_up(key.text(), operation); }
  Result<bool> held_up(std::string_view key, const char* operation) const {
    return Error{Errc::unavailable, "an earlier write waits for the store to come back",
                 std::string(inner().traits().kind), operation, std::string(key)};
  }
  bool is_held_up(const Key& key) {
    if (!waits() || key.space() != Space::values) return false;
    catch_up_if_due();
    return is_waiting(key);
  }
  void clear() {
    const engine_guard guard(mutex_);
    if (log_.size() == 0) return;
    log_.flush(0);
    log_.done(log_.first()->first);
    count();
  }

  /// What waits answers in the store's place. Nothing: ask the store.
  std::optional<Result<bool>> from_log(const Key& key, const Read& how, Receiver found) {
    if (key.space() != Space::values) return std::nullopt;
    catch_up_if_due();
    EntryCopy copy;
    bool waits_as_put = false;
    {
      const engine_guard guard(mutex_);
      const auto operation = log_.about(key.text());
      if (!operation && !log_.tag_flush_waits()) return std::nullopt;
      if (operation && (*operation)->kind != RecoveryLog::Kind::put) return Result<bool>(false);
      if (operation) {
        waits_as_put = true;
        copy = EntryCopy((*operation)->entry.view());
        const Instant moment = clock_.now();
        const Expiry& expiry = copy.view().expiry;
        if (!(how.stale ? expiry.is_kept(moment) : expiry.is_fresh(moment))) return Result<bool>(false);
      }
    }
    if (waits_as_put) {
      Entry entry = without_stamp(copy.view());
      entry.version = 1;  // a write that names it is held up
      found(entry);
      return Result<bool>(true);
    }
    // A flush of tags waits: the entry itself tells whether it is hit.
    bool hit = false;
    auto there = inner().get(key, how, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!there.ok() || !*there) return there;
    {
      const engine_guard guard(mutex_);
      hit = log_.flushes(copy.view());
    }
    if (!hit) found(without_stamp(copy.view()));
    return Result<bool>(!hit);
  }

  /// Writes, or lets the operation wait where the store does not take it.
  template <class T, class Do, class Wait>
  Result<T> write(const Key& key, const char* operation, Do&& go, Wait&& wait) {
    if (waits()) [[unlikely]] {
      catch_up_if_due();
      const engine_guard guard(mutex_);
      if (log_.flush_waits() || log_.tag_flush_waits()) {  // what waits first must be done first
        wait();
        count();
        return held_up(key, operation);
      }
    }
    std::optional<Turn> turn;
    if (waits()) [[unlikely]]
      turn.emplace(turns_, key);
    auto done = go();
    if (done.ok()) {
      if (waits()) [[unlikely]] {
        const engine_guard guard(mutex_);
        log_.drop(key.text());
        count();
      }
      return done;
    }
    if (!is_transient(done.error().code)) return done;
    {
      const engine_guard guard(mutex_);
      wait();
      count();
    }
    try_later();
    return done;
  }

  bool is_first(std::uint64_t number) const {
    const engine_guard guard(mutex_);
    const auto* const first = log_.first();
    return first != nullptr && first->first == number;
  }

  void remember(const RecoveryLog::Operation& operation) {
    Entry bare = operation.entry.view();
    bare.value = {};
    bare.notes = {};
    const auto moment = std::chrono::steady_clock::now();
    const engine_guard guard(mutex_);
    if (redone_.size() >= options_.max_keys)
      std::erase_if(redone_, [&](const auto& one) { return moment - one.second.when > std::chrono::minutes(1); });
    if (redone_.size() >= options_.max_keys) redone_.erase(redone_.begin());
    redone_.insert_or_assign(operation.key, Redone{EntryCopy(bare), operation.wall, moment});
    has_redone_.store(true, std::memory_order_release);
  }
  /// What was done although somebody was later is forgotten again, where it still stands.
  void take_back(std::string_view key, std::int64_t wall) {
    if (!has_redone_.load(std::memory_order_acquire)) return;
    {
      const engine_guard guard(mutex_);
      const auto done = redone_.find(std::string(key));
      if (done == redone_.end() || done->second.wall >= wall || log_.about(key)) return;
      log_.forget(key, done->second.wall, done->second.wall);
      count();
    }
    catch_up_behind();
  }
  void take_back(std::span<const std::string_view> tags, bool any, std::int64_t wall) {
    if (!has_redone_.load(std::memory_order_acquire)) return;
    {
      const engine_guard guard(mutex_);
      const std::size_t before = log_.size();
      for (const auto& [key, done] : redone_) {
        if (done.wall >= wall || log_.about(key)) continue;
        if (tags.empty() || RecoveryLog::is_hit(done.tags.view(), tags, any)) log_.forget(key, done.wall, done.wall);
      }
      if (log_.size() == before) return;
      count();
    }
    catch_up_behind();
  }
  void catch_up_behind() {
    background_.submit([this] {
      const std::scoped_lock alone(catching_up_);  // who is at it may have looked before this was added
      (void)do_all();
    });
    try_later();
  }

  /// Does one waiting operation; false: the store is still away.
  bool redo(const RecoveryLog::Operation& operation) {
    const auto well = [](const auto& done) { return done.ok() || !is_transient(done.error().code); };
    switch (operation.kind) {
      case RecoveryLog::Kind::flush: return well(inner().flush({}));
      case RecoveryLog::Kind::flush_tags: {
        const std::vector<std::string_view> tags(operation.tags.begin(), operation.tags.end());
        return well(inner().flush({tags, operation.any}));
      }
      default: break;
    }
    const Key key(operation.key);
    for (int attempt = 0; attempt < 100; ++attempt) {
      std::uint64_t version = 0;
      std::optional<std::int64_t> written;
      auto there = inner().get(key, {.stale = true}, [&](const Entry& entry) {
        version = entry.version;
        written = stamp_of(entry.notes);
      });
      if (!there.ok() && is_transient(there.error().code)) return false;
      if (written && *written > operation.wall) return true;  // somebody was later, and wins
      if (operation.only != 0 && written != operation.only) return true;
      const bool dead = !operation.entry.view().expiry.is_fresh(clock_.now());
      const bool unsure = version != 0 && !written;
      if (operation.kind == RecoveryLog::Kind::forget || dead || unsure) {
        auto gone = version != 0 ? inner().forget(key, {version}) : inner().forget(key, {});
        if (!well(gone)) return false;
        if (version == 0 || !there.ok() || (gone.ok() && *gone)) return true;
        continue;  // somebody wrote between the look and this: he may have been earlier, or later
      }
      auto done = inner().put(key, operation.entry.view(), {When::unchanged, version});
      if (!well(done)) return false;
      if (done.ok() && *done) remember(operation);
      if (!done.ok() || *done) return true;
    }
    return true;  // many write here at once; the last of them is newer than what waited
  }

  void catch_up_if_due() {
    const auto due = next_attempt_.load(std::memory_order_relaxed);
    const auto moment = steady_now();
    if (moment < due) return;
    auto expected = due;
    if (!next_attempt_.compare_exchange_strong(expected, moment + options_.delay.count())) return;
    (void)catch_up();
  }
  void try_later() {
    auto expected = std::int64_t{0};
    next_attempt_.compare_exchange_strong(expected, steady_now() + options_.delay.count());
    if (scheduled_.exchange(true)) return;
    background_.submit_later(options_.delay, [this] {
      scheduled_ = false;
      if (catch_up())
        next_attempt_ = 0;
      else
        try_later();
    });
  }
  static std::int64_t steady_now() {
    return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  const RecoveryOptions options_;
  const Clock& clock_;
  mutable engine::Lock mutex_;
  std::mutex catching_up_;
  RecoveryLog log_;
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::int64_t> next_attempt_{0};
  std::atomic<bool> scheduled_{false};
  composite::Stripes turns_;
  std::unordered_map<std::string, Redone> redone_;
  std::atomic<bool> has_redone_{false};
  composite::Background background_;
};

}  // namespace

std::shared_ptr<Recovering> make_recovering(StorePtr inner, const RecoveryOptions& options) {
  if (options.max_keys == 0) raise(Error{Errc::bad_config, "recovery: max_keys must be 1 or more"});
  if (options.delay <= Duration::zero()) raise(Error{Errc::bad_config, "recovery: the delay must be above zero"});
  return std::make_shared<RecoveringStore>(std::move(inner), options);
}

}  // namespace v1
}  // namespace flux::cache
