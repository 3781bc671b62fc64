// An engine under a clock that the test moves, and what it is spoken to with in one line.
#pragma once
#include <flux/cache/engine/engine.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache::testing {

using engine::Cause;
using engine::Change;
using engine::Draft;
using engine::Engine;
using engine::Kind;
using engine::Outcome;
using engine::View;

class ManualClock final : public Clock {
 public:
  Instant now() const noexcept override { return Instant(Duration(now_.load())); }
  WallTime wall() const noexcept override { return WallTime(Duration(now_.load())); }
  void advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_{1'000'000'000};
};

struct Heard {
  std::vector<std::pair<std::string, Cause>> removals;
  engine::Listener listener() {
    return {[](void* self, const engine::Removal& removal) {
              static_cast<Heard*>(self)->removals.emplace_back(removal.key, removal.cause);
            },
            this};
  }
};

inline std::uint64_t hash(std::string_view key) { return detail::hash_key(key); }

inline bool put(Engine& engine, std::string_view key, std::string_view text) {
  return engine.put(key, hash(key), Draft::of(text));
}
inline std::optional<std::string> get(Engine& engine, std::string_view key) {
  std::optional<std::string> found;
  engine.visit(key, hash(key), [&](const View& view) { found = std::string(view.text()); });
  return found;
}
inline bool has(Engine& engine, std::string_view key) {
  return engine.visit(key, hash(key), [](const View&) {});
}

class EngineTest : public ::testing::Test {
 protected:
  Engine& make(engine::Options options = {}) {
    options.clock = &clock_;
    engine_ = std::make_unique<Engine>(options);
    return *engine_;
  }
  void TearDown() override {
    if (engine_) {
      EXPECT_EQ(engine_->check(), "");
    }
  }
  ManualClock clock_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace flux::cache::testing
