// A flush that comes in the middle of an operation on memcached: what the operation read before it may not outlive it.
// The clock is where the flush comes in: an operation looks at it at each of its steps.
#include <gtest/gtest.h>
#include <flux/cache/testing/store_probe.hpp>

#include <functional>
#include <string>
#include <utility>

#include "support/memcached.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

/// The machine's, but for one call: it does something first.
class InterruptingClock : public Clock {
 public:
  Instant now() const noexcept override { return system_clock().now(); }
  WallTime wall() const noexcept override {
    if (left_ > 0 && --left_ == 0) std::exchange(work_, nullptr)();
    return system_clock().wall();
  }
  void at_call(int number, std::function<void()> work) { left_ = number, work_ = std::move(work); }
  bool is_over() const { return !work_; }

 private:
  mutable int left_ = 0;
  mutable std::function<void()> work_;
};

class MemcachedFlush : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (one_memcached().empty()) GTEST_SKIP() << "no memcached: " << Server::why_not();
    MemcachedConfig config{.servers = one_memcached(), .prefix = unique_prefix(), .protocol = GetParam()};
    config.clock = &clock_;
    store_ = make_memcached(config);
  }
  std::string ask() {
    std::string shown = "miss";
    (void)store_->get(Key("k"), {}, [&](const Entry& entry) {
      shown = entry.value.kind == Kind::integer ? std::to_string(entry.value.number) : std::string(entry.value.text);
      version_ = entry.version;
    });
    return shown;
  }
  /// Lets a flush come at each look at the clock of one operation; what is seen after both.
  void interrupt(const ValueView& before, const std::function<void()>& operation, const std::string& allowed) {
    int interrupted = 0;
    for (int call = 1;; ++call) {
      ASSERT_TRUE(*store_->put(Key("k"), {.value = before, .expiry = Expiry::at(clock_.now() + 60s)}, {}));
      ASSERT_NE(ask(), "miss");
      clock_.at_call(call, [&] { EXPECT_TRUE(store_->flush({}).ok()); });
      operation();
      if (!clock_.is_over()) break;
      ++interrupted;
      const std::string seen = ask();
      EXPECT_TRUE(seen == "miss" || seen == allowed) << seen << ", with a flush at look " << call;
    }
    EXPECT_GT(interrupted, 0);
  }

  const Entry later_{.value = text("later"), .expiry = Expiry::at(system_clock().now() + 60s)};
  InterruptingClock clock_;
  std::shared_ptr<Store> store_;
  std::uint64_t version_ = 0;
};

TEST_P(MemcachedFlush, EndsAPutOverWhatWasSeen) {
  interrupt(
      text("old"),
      [&] {
        (void)store_->put(Key("k"), later_, {When::unchanged, version_});
      },
      "");
}

TEST_P(MemcachedFlush, EndsAPutWhereSomethingIs) {
  interrupt(
      text("old"), [&] { (void)store_->put(Key("k"), later_, {When::present}); }, "");
}

TEST_P(MemcachedFlush, EndsALifeThatIsProlonged) {
  interrupt(
      text("old"), [&] { (void)store_->touch(Key("k"), Expiry::at(clock_.now() + 90s)); }, "");
}

TEST_P(MemcachedFlush, LetsACounterBeginAnew) {
  interrupt(
      {.kind = Kind::integer, .number = 40}, [&] { (void)store_->increment(Key("k"), 2, {}); }, "2");
}

INSTANTIATE_TEST_SUITE_P(Protocol, MemcachedFlush, ::testing::Values("meta", "binary"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace flux::cache::testing
