// Random operations against a std::map: the engine must answer as the map does, whatever the configuration.
//
// Unbounded, each answer must be the map's. Bounded, an entry may be missing but never wrong, and no bound is passed.
// FLUX_CACHE_MODEL_OPERATIONS sets how many operations are tried in all; 10 million where no sanitizer slows them.
#include <flux/cache/engine/engine.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

namespace {

using namespace flux::cache;
using engine::Change;
using engine::Draft;
using engine::Engine;
using engine::Kind;
using engine::Outcome;
using engine::View;

class ManualClock final : public Clock {
 public:
  Instant now() const noexcept override { return Instant(Duration(now_)); }
  WallTime wall() const noexcept override { return WallTime(Duration(now_)); }
  void advance(std::int64_t by) { now_ += by; }

 private:
  std::int64_t now_ = 5'000'000;
};

struct Expected {
  Kind kind = Kind::text;
  std::string text;
  std::int64_t integer = 0;
  std::shared_ptr<const std::string> object;
  std::string labels;
  std::uint8_t flags = 0;
  Instant fresh = kNever, keep = kNever;
};

const Type& string_type() {
  static const Type type{.name = "string", .weigh = [](const void* object) {
                           return static_cast<const std::string*>(object)->size() + 64;
                         }};
  return type;
}

std::uint64_t operations() {
  if (const char* const wanted = std::getenv("FLUX_CACHE_MODEL_OPERATIONS")) return std::strtoull(wanted, nullptr, 10);
#if defined(__SANITIZE_ADDRESS__) || defined(FLUX_CACHE_TSAN) || defined(FLUX_CACHE_ASAN)
  return 300'000;
#elif defined(NDEBUG)
  return 10'000'000;
#else
  return 1'000'000;
#endif
}

class EngineModel : public ::testing::TestWithParam<int> {
 protected:
  static constexpr int kRuns = 20;

  std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  void configure() {
    options_.clock = &clock_;
    options_.policy = static_cast<engine::Policy>(draw(3));
    if (draw(2) == 0) options_.max_items = 1 + draw(600);
    if (draw(3) == 0) options_.max_bytes = (16 + draw(500)) * 1024;
    if (draw(2) == 0) options_.shards = 1u << draw(4);
    exact_ = options_.max_items == 0 && options_.max_bytes == 0;
    keys_ = 1 + draw(1500);
    engine_ = std::make_unique<Engine>(options_);
  }

  std::string random_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }
  std::string random_key() {
    const std::uint64_t id = draw(keys_);
    std::string key = "k" + std::to_string(id);
    if (id % 17 == 0) key += std::string(id % 3000, 'x');
    return key;
  }
  Expected random_value() {
    Expected value;
    value.kind = static_cast<Kind>(draw(3));
    switch (value.kind) {
      case Kind::text: value.text = random_bytes(draw(20) == 0 ? draw(6000) : draw(200)); break;
      case Kind::integer: value.integer = static_cast<std::int64_t>(random_()); break;
      case Kind::object: value.object = std::make_shared<const std::string>(random_bytes(draw(50))); break;
    }
    if (draw(4) == 0) value.labels = random_bytes(1 + draw(60));
    value.flags = static_cast<std::uint8_t>(draw(256));
    if (draw(2) == 0) value.keep = clock_.now() + Duration(static_cast<std::int64_t>(1 + draw(3'000'000)));
    if (draw(3) == 0) {
      const Instant fresh = clock_.now() + Duration(static_cast<std::int64_t>(1 + draw(1'000'000)));
      if (fresh < value.keep) value.fresh = fresh;
    }
    if (value.fresh > value.keep) value.fresh = value.keep;
    return value;
  }
  static Draft draft_of(const Expected& value) {
    Draft draft = value.kind == Kind::text      ? Draft::of(std::string_view(value.text))
                  : value.kind == Kind::integer ? Draft::of(value.integer)
                                                : Draft::of(value.object, string_type());
    draft.labels = value.labels;
    draft.flags = value.flags;
    draft.until(value.fresh, value.keep);
    return draft;
  }

  /// Drops what has expired from the map, then answers what stands there.
  Expected* expected(const std::string& key) {
    const auto found = map_.find(key);
    if (found == map_.end()) return nullptr;
    if (found->second.keep <= clock_.now()) {
      map_.erase(found);
      return nullptr;
    }
    return &found->second;
  }
  void compare(const Expected& value, const View& view, const std::string& key) {
    ASSERT_EQ(view.key(), key);
    ASSERT_EQ(view.kind(), value.kind);
    ASSERT_EQ(view.labels(), value.labels);
    ASSERT_EQ(view.flags(), value.flags);
    ASSERT_EQ(view.keep_until(), value.keep);
    ASSERT_EQ(view.fresh_until(), value.fresh);
    ASSERT_EQ(view.is_fresh(), value.fresh > clock_.now());
    switch (value.kind) {
      case Kind::text: ASSERT_EQ(view.text(), value.text); break;
      case Kind::integer: ASSERT_EQ(view.integer(), value.integer); break;
      case Kind::object: ASSERT_EQ(view.object(), value.object.get()); break;
    }
  }

  void step() {
    const std::string key = random_key();
    const std::uint64_t hash = detail::hash_key(key);
    Expected* const value = expected(key);
    switch (draw(16)) {
      case 0:
      case 1:
      case 2: {
        Expected fresh = random_value();
        if (engine_->put(key, hash, draft_of(fresh))) {
          map_[key] = std::move(fresh);
        } else {
          ASSERT_FALSE(exact_);
          map_.erase(key);
        }
        break;
      }
      case 3: {
        const bool removed = engine_->erase(key, hash);
        if (exact_) {
          ASSERT_EQ(removed, value != nullptr);
        }
        if (removed) {
          ASSERT_NE(value, nullptr);
        }
        map_.erase(key);
        break;
      }
      case 4: {  // add
        const Expected fresh = random_value();
        const Draft draft = draft_of(fresh);
        const Outcome outcome = engine_->update(
            key, hash, [&](const View* view) { return view == nullptr ? Change::write(draft) : Change::keep(); });
        if (exact_) {
          ASSERT_EQ(outcome == Outcome::done, value == nullptr);
        }
        if (outcome == Outcome::done) map_[key] = fresh;
        if (outcome == Outcome::refused) map_.erase(key);
        break;
      }
      case 5: {  // touch
        const Expected life = random_value();
        const Outcome outcome = engine_->update(key, hash, [&](const View* view) {
          return view != nullptr ? Change::retime(life.fresh, life.keep) : Change::keep();
        });
        if (exact_) {
          ASSERT_EQ(outcome == Outcome::done, value != nullptr);
        }
        if (outcome == Outcome::done) {
          ASSERT_NE(value, nullptr);
          value->fresh = life.fresh;
          value->keep = life.keep;
        }
        if (outcome == Outcome::refused) map_.erase(key);
        break;
      }
      case 6: {  // count
        const Outcome outcome = engine_->update(key, hash, [&](const View* view) {
          return view != nullptr && view->kind() == Kind::integer ? Change::count(view->integer() ^ 12345)
                                                                  : Change::keep();
        });
        if (outcome == Outcome::done) {
          ASSERT_NE(value, nullptr);
          value->integer ^= 12345;
        } else if (exact_) {
          ASSERT_TRUE(value == nullptr || value->kind != Kind::integer);
        }
        break;
      }
      case 7: clock_.advance(static_cast<std::int64_t>(draw(20'000))); break;
      case 8:
        if (draw(5000) == 0) {
          engine_->clear();
          map_.clear();
          ASSERT_EQ(engine_->figures().entries, 0u);
        }
        if (draw(50) == 0) engine_->maintain(1 + static_cast<std::uint32_t>(draw(64)));
        break;
      default: {
        const bool hit = engine_->visit(key, hash, [&](const View& view) {
          ASSERT_NE(value, nullptr);
          compare(*value, view, key);
        });
        if (exact_) {
          ASSERT_EQ(hit, value != nullptr);
        }
        if (!hit) map_.erase(key);  // evicted: it may not come back by itself
      }
    }
  }

  ManualClock clock_;
  std::mt19937_64 random_{static_cast<std::uint64_t>(GetParam()) * 7919 + 1};
  engine::Options options_;
  bool exact_ = false;
  std::uint64_t keys_ = 1;
  std::unique_ptr<Engine> engine_;
  std::map<std::string, Expected> map_;
};

TEST_P(EngineModel, AnswersAsTheMapDoes) {
  configure();
  const std::uint64_t steps = operations() / kRuns;
  for (std::uint64_t index = 0; index < steps; ++index) {
    step();
    if (HasFatalFailure()) FAIL() << "at step " << index;
    if (index % (steps / 20 + 1) == 0) {
      ASSERT_EQ(engine_->check(), "") << "at step " << index;
      const engine::Figures figures = engine_->figures();
      if (options_.max_items != 0) {
        ASSERT_LE(figures.entries, std::max<std::uint64_t>(options_.max_items, engine_->shards()));
      }
      if (options_.max_bytes != 0) {
        ASSERT_LE(figures.bytes, options_.max_bytes);
      }
    }
  }
  for (const auto& [key, value] : map_) {
    if (value.keep <= clock_.now()) continue;
    const bool hit = engine_->visit(key, detail::hash_key(key),
                                    [&, &key = key, &value = value](const View& view) { compare(value, view, key); });
    if (exact_) {
      ASSERT_TRUE(hit) << key;
    }
  }
  std::size_t seen = 0;
  engine_->for_each([&](const View& view) {
    ++seen;
    EXPECT_TRUE(map_.contains(std::string(view.key())));
  });
  if (exact_) {
    std::size_t live = 0;
    for (const auto& [key, value] : map_) live += value.keep > clock_.now();
    EXPECT_EQ(seen, live);
  }
  EXPECT_EQ(engine_->check(), "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineModel, ::testing::Range(0, 20));

}  // namespace
