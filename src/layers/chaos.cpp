#include <flux/cache/layers/chaos.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace flux::cache {
inline namespace v1 {

namespace {

/// Which question is asked of a call's number; each has an answer of its own.
enum class Question : std::uint64_t { fail = 1, lost_reply, lost_write, torn, delay, where };

class ChaosStore final : public Chaos {
 public:
  ChaosStore(StorePtr inner, const ChaosOptions& options)
      : Chaos(std::move(inner)), options_(std::make_shared<const ChaosOptions>(options)) {}

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    const Call call = begin();
    if (call.fails) return failure(call, "get", key.text());
    return inner().get(key, how, [&](const Entry& entry) { hand_over(call, entry, found); });
  }
  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    return write<bool>("put", key.text(), true, [&] { return inner().put(key, entry, how); });
  }
  Result<bool> forget(const Key& key, const Forget& how) override {
    return write<bool>("forget", key.text(), true, [&] { return inner().forget(key, how); });
  }
  Result<void> flush(const Scope& scope) override {
    auto done = write<bool>("flush", {}, true, [&]() -> Result<bool> {
      auto flushed = inner().flush(scope);
      if (!flushed.ok()) return Result<bool>(flushed.take_error());
      return true;
    });
    return done.ok() ? Result<void>() : Result<void>(done.take_error());
  }
  Result<void> scan(Space space, Visitor visit) override {
    const Call call = begin();
    if (call.fails) return failure(call, "scan", {});
    return inner().scan(space, visit);
  }
  Result<std::size_t> prune(std::size_t budget) override {
    const Call call = begin();
    if (call.fails) return failure(call, "prune", {});
    return inner().prune(budget);
  }

  void set(const ChaosOptions& options) override {
    const std::scoped_lock guard(mutex_);
    options_ = std::make_shared<const ChaosOptions>(options);
  }
  void fail_next(std::size_t calls, Errc error) override {
    next_error_.store(error, std::memory_order_relaxed);
    fail_next_.store(calls, std::memory_order_release);
  }
  void lose_next_replies(std::size_t calls) override { lose_next_.store(calls, std::memory_order_release); }
  void tear_next(std::size_t calls) override { tear_next_.store(calls, std::memory_order_release); }

  ChaosCounts counts() const override {
    const auto now = [](const std::atomic<std::uint64_t>& count) { return count.load(std::memory_order_relaxed); };
    return {now(calls_), now(failed_), now(lost_replies_), now(lost_writes_), now(torn_), now(delayed_)};
  }

 private:
  struct Call {
    std::shared_ptr<const ChaosOptions> options;
    std::uint64_t number = 0;
    bool fails = false;
    Errc error = Errc::unavailable;
  };

  static std::uint64_t bits(const Call& call, Question question) {
    const std::uint64_t words[3] = {call.options->seed, call.number, static_cast<std::uint64_t>(question)};
    return detail::hash_bytes(reinterpret_cast<const char*>(words), sizeof words, 0);
  }
  static bool happens(double rate, const Call& call, Question question) {
    return rate > 0 && static_cast<double>(bits(call, question) >> 11) * 0x1p-53 < rate;
  }
  /// Takes one off what is left to do; false where nothing is.
  static bool take_one(std::atomic<std::size_t>& left) {
    std::size_t now = left.load(std::memory_order_acquire);
    while (now != 0)
      if (left.compare_exchange_weak(now, now - 1, std::memory_order_acq_rel)) return true;
    return false;
  }
  static void count(std::atomic<std::uint64_t>& what) { what.fetch_add(1, std::memory_order_relaxed); }

  Call begin() {
    Call call;
    {
      const std::scoped_lock guard(mutex_);
      call.options = options_;
    }
    call.number = calls_.fetch_add(1, std::memory_order_relaxed);
    if (happens(call.options->delay_rate, call, Question::delay)) {
      count(delayed_);
      if (call.options->wait)
        call.options->wait(call.options->delay);
      else
        std::this_thread::sleep_for(call.options->delay);
    }
    call.error = call.options->error;
    if (take_one(fail_next_)) {
      call.fails = true;
      call.error = next_error_.load(std::memory_order_relaxed);
    } else {
      call.fails = happens(call.options->fail_rate, call, Question::fail);
    }
    if (call.fails) count(failed_);
    return call;
  }

  Error failure(const Call& call, std::string_view operation, std::string_view key) const {
    return {call.error, "a fault on demand", std::string(inner().traits().kind), std::string(operation),
            std::string(key)};
  }

  template <class T, class Work>
  Result<T> write(std::string_view operation, std::string_view key, T pretence, Work&& work) {
    Call call = begin();
    if (call.fails) return failure(call, operation, key);
    if (happens(call.options->lost_write_rate, call, Question::lost_write)) return count(lost_writes_), pretence;
    auto done = work();
    if (!done.ok()) return done;
    if (!take_one(lose_next_) && !happens(call.options->lost_reply_rate, call, Question::lost_reply)) return done;
    count(lost_replies_);
    call.error = Errc::timeout;
    return failure(call, operation, key);
  }

  void hand_over(const Call& call, const Entry& entry, Receiver found) {
    const bool tearable =
        (entry.value.kind == Kind::text || entry.value.kind == Kind::bytes) && !entry.value.text.empty();
    if (!tearable || (!take_one(tear_next_) && !happens(call.options->torn_rate, call, Question::torn)))
      return found(entry);
    count(torn_);
    std::string torn(entry.value.text);
    const std::uint64_t where = bits(call, Question::where);
    const std::size_t place = static_cast<std::size_t>((where >> 4) % torn.size());
    if (where & 1)
      torn.resize(place);
    else
      torn[place] = static_cast<char>(torn[place] ^ (1 << ((where >> 1) & 7)));
    Entry damaged = entry;
    damaged.value.text = torn;
    found(damaged);
  }

  std::mutex mutex_;
  std::shared_ptr<const ChaosOptions> options_;
  std::atomic<std::size_t> fail_next_{0};
  std::atomic<std::size_t> lose_next_{0};
  std::atomic<std::size_t> tear_next_{0};
  std::atomic<Errc> next_error_{Errc::unavailable};
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> lost_replies_{0};
  std::atomic<std::uint64_t> lost_writes_{0};
  std::atomic<std::uint64_t> torn_{0};
  std::atomic<std::uint64_t> delayed_{0};
};

}  // namespace

std::shared_ptr<Chaos> make_chaos(StorePtr inner, const ChaosOptions& options) {
  return std::make_shared<ChaosStore>(std::move(inner), options);
}

}  // namespace v1
}  // namespace flux::cache
