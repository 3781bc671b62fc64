// flux/cache/testing/fake.hpp - the facade over a fresh memory store, and a clock that the test turns.
#pragma once
#include <flux/cache/manager.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <memory>
#include <utility>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// As long as it lives, `Cache` works over an empty memory store of its own, by its own clock; then over what it worked
/// over before. One at a time; not for a program whose other threads use the facade.
class [[nodiscard]] Fake {
 public:
  Fake() : before_(cache::detail::current_manager()), clock_(std::make_shared<FakeClock>()) {
    cache::detail::replace_manager(StoreManager({}, *clock_));
  }
  ~Fake() {
    if (clock_) cache::detail::replace_manager(std::move(before_));
  }
  Fake(Fake&&) noexcept = default;
  Fake& operator=(Fake&&) = delete;

  /// Time passes for every lifetime, lease and limit. Never negative.
  void travel(Duration length) { clock_->travel(length); }
  FakeClock& clock() noexcept { return *clock_; }

 private:
  StoreManager before_;
  std::shared_ptr<FakeClock> clock_;
};

/// For a test: `auto fake = testing::fake();` and then the facade as the program uses it.
inline Fake fake() { return Fake(); }

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
