// The engine, one fact a test: what goes in, what comes out, what is seen meanwhile.
#include "engine_fixture.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace flux::cache;
using namespace flux::cache::testing;
using namespace std::chrono_literals;

namespace {

TEST_F(EngineTest, WhatWasPutIsFound) {
  Engine& engine = make();
  EXPECT_TRUE(put(engine, "k", "v"));
  EXPECT_EQ(get(engine, "k"), "v");
}

TEST_F(EngineTest, WhatWasNotPutIsNotFound) { EXPECT_EQ(get(make(), "k"), std::nullopt); }

TEST_F(EngineTest, OverwritingReplacesTheValue) {
  Engine& engine = make();
  put(engine, "k", "old");
  put(engine, "k", "something much longer than before");
  EXPECT_EQ(get(engine, "k"), "something much longer than before");
  EXPECT_EQ(engine.figures().entries, 1u);
}

TEST_F(EngineTest, EraseAnswersTrueOnlyForWhatWasThere) {
  Engine& engine = make();
  put(engine, "k", "v");
  EXPECT_TRUE(engine.erase("k", hash("k")));
  EXPECT_FALSE(engine.erase("k", hash("k")));
  EXPECT_EQ(get(engine, "k"), std::nullopt);
}

TEST_F(EngineTest, KeysMayHoldAnyBytesAndAnyLengthUpToTheLimit) {
  Engine& engine = make();
  for (const std::size_t size : {std::size_t{1}, std::size_t{40}, std::size_t{3000}, std::size_t{65535},
                                 std::size_t{65536}, engine::kMaxKeySize}) {
    std::string key(size, '\0');
    key.back() = '\xFF';
    EXPECT_TRUE(put(engine, key, "v" + std::to_string(size)));
    EXPECT_EQ(get(engine, key), "v" + std::to_string(size));
    key[0] = 'x';
    EXPECT_EQ(get(engine, key), std::nullopt);
  }
}

TEST_F(EngineTest, AKeyOverTheLimitIsRefused) {
  Engine& engine = make();
  EXPECT_FALSE(put(engine, std::string(engine::kMaxKeySize + 1, 'k'), "v"));
  EXPECT_EQ(engine.figures().refused, 1u);
}

TEST_F(EngineTest, TextsOfAllSizesComeBackWhole) {
  Engine& engine = make();
  for (std::size_t size = 0; size < 5000; size += 37) {
    std::string text(size, 'x');
    for (std::size_t at = 0; at < size; ++at) text[at] = static_cast<char>(at * 31 + size);
    put(engine, "k" + std::to_string(size), text);
    ASSERT_EQ(get(engine, "k" + std::to_string(size)), text);
  }
  const std::string large(3 << 20, 'L');
  put(engine, "large", large);
  EXPECT_EQ(get(engine, "large"), large);
}

TEST_F(EngineTest, AnIntegerIsCountedInPlaceAndItsVersionMoves) {
  Engine& engine = make();
  engine.put("n", hash("n"), Draft::of(std::int64_t{5}));
  std::uint64_t before = 0;
  engine.visit("n", hash("n"), [&](const View& view) { before = view.version(); });
  EXPECT_EQ(engine.update("n", hash("n"), [](const View* view) { return Change::count(view->integer() - 7); }),
            Outcome::done);
  engine.visit("n", hash("n"), [&](const View& view) {
    EXPECT_EQ(view.kind(), Kind::integer);
    EXPECT_EQ(view.integer(), -2);
    EXPECT_NE(view.version(), before);
  });
}

TEST_F(EngineTest, AnObjectIsHandedBackItselfAndLivesWhileShared) {
  static const Type type{.name = "string", .weigh = [](const void*) { return std::size_t{32}; }};
  Engine& engine = make();
  auto object = std::make_shared<const std::string>("live");
  engine.put("o", hash("o"), Draft::of(object, type));
  Object shared;
  engine.visit("o", hash("o"), [&](const View& view) {
    EXPECT_EQ(view.object(), object.get());
    EXPECT_TRUE(same_type(view.type(), type));
    shared = view.share();
  });
  engine.erase("o", hash("o"));
  EXPECT_EQ(shared.get(), object.get());
}

TEST_F(EngineTest, ARemovedObjectIsDestroyedByMaintenance) {
  static const Type type{.name = "string", .weigh = nullptr};
  Engine& engine = make();
  auto object = std::make_shared<const std::string>("live");
  const std::weak_ptr<const std::string> watch = object;
  engine.put("o", hash("o"), Draft::of(std::move(object), type));
  engine.erase("o", hash("o"));
  for (int round = 0; round < 10 && !watch.expired(); ++round) engine.maintain();
  EXPECT_TRUE(watch.expired());
}

TEST_F(EngineTest, KindFlagsAndLabelsComeBack) {
  Engine& engine = make();
  Draft draft = Draft::of("text");
  draft.user_kind = 7;
  draft.flags = 0x81;
  draft.labels = "0123456789abc";
  engine.put("k", hash("k"), draft);
  engine.visit("k", hash("k"), [&](const View& view) {
    EXPECT_EQ(view.user_kind(), 7);
    EXPECT_EQ(view.flags(), 0x81);
    EXPECT_EQ(view.labels(), "0123456789abc");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.labels().data()) % 8, 0u);
    EXPECT_EQ(view.key(), "k");
    EXPECT_EQ(view.text(), "text");
  });
}

TEST_F(EngineTest, LabelsStayWithALargeText) {
  Engine& engine = make();
  const std::string large(100'000, 'x');
  Draft draft = Draft::of(large);
  draft.labels = "labels";
  draft.until(clock_.now() + 5s, clock_.now() + 9s);
  engine.put("k", hash("k"), draft);
  engine.visit("k", hash("k"), [&](const View& view) {
    EXPECT_EQ(view.labels(), "labels");
    EXPECT_EQ(view.text(), large);
    EXPECT_EQ(view.fresh_until(), clock_.now() + 5s);
    EXPECT_EQ(view.keep_until(), clock_.now() + 9s);
  });
}

TEST_F(EngineTest, AnEntryIsGoneFromTheInstantOfItsDeadline) {
  Engine& engine = make();
  engine.put("k", hash("k"), Draft::of("v").until(clock_.now() + 2s));
  clock_.advance(2s - 1us);
  EXPECT_TRUE(has(engine, "k"));
  clock_.advance(1us);
  EXPECT_FALSE(has(engine, "k"));
}

TEST_F(EngineTest, AnEntryIsStaleBetweenItsTwoDeadlines) {
  Engine& engine = make();
  engine.put("k", hash("k"), Draft::of("v").until(clock_.now() + 2s, clock_.now() + 5s));
  engine.visit("k", hash("k"), [](const View& view) { EXPECT_TRUE(view.is_fresh()); });
  clock_.advance(2s);
  EXPECT_TRUE(engine.visit("k", hash("k"), [](const View& view) { EXPECT_FALSE(view.is_fresh()); }));
  clock_.advance(3s);
  EXPECT_FALSE(has(engine, "k"));
}

TEST_F(EngineTest, AnExpiredEntryIsAbsentForUpdate) {
  Engine& engine = make();
  engine.put("k", hash("k"), Draft::of("v").until(clock_.now() + 2s));
  clock_.advance(2s);
  bool seen = true;
  EXPECT_EQ(engine.update("k", hash("k"),
                          [&](const View* view) {
                            seen = view != nullptr;
                            return Change::remove();
                          }),
            Outcome::kept);
  EXPECT_FALSE(seen);
  EXPECT_EQ(engine.figures().entries, 0u);
}

TEST_F(EngineTest, RetimeChangesTheLifeAndNothingElse) {
  Heard heard;
  Engine& engine = make({.listener = heard.listener()});
  put(engine, "k", "v");
  const Instant start = clock_.now();
  const auto retime = [&](Instant fresh, Instant keep) {
    return engine.update("k", hash("k"), [&](const View*) { return Change::retime(fresh, keep); });
  };
  EXPECT_EQ(retime(start + 1s, start + 1s), Outcome::done);
  clock_.advance(900ms);
  EXPECT_EQ(get(engine, "k"), "v");
  EXPECT_EQ(retime(start + 2s, start + 3s), Outcome::done);
  clock_.advance(1500ms);
  engine.visit("k", hash("k"), [](const View& view) { EXPECT_FALSE(view.is_fresh()); });
  EXPECT_EQ(retime(kNever, kNever), Outcome::done);
  clock_.advance(10h);
  EXPECT_EQ(get(engine, "k"), "v");
  EXPECT_TRUE(heard.removals.empty());
}

TEST_F(EngineTest, UpdateThatThrowsChangesNothing) {
  Engine& engine = make();
  put(engine, "k", "v");
  EXPECT_THROW(engine.update("k", hash("k"), [](const View*) -> Change { throw std::runtime_error("no"); }),
               std::runtime_error);
  EXPECT_EQ(get(engine, "k"), "v");
  EXPECT_TRUE(put(engine, "k", "w"));
}

TEST_F(EngineTest, CompareAndSwapByVersionHasOneWinner) {
  Engine& engine = make();
  put(engine, "k", "v");
  std::uint64_t version = 0;
  engine.visit("k", hash("k"), [&](const View& view) { version = view.version(); });
  const auto swap = [&](std::string_view text) {
    const Draft draft = Draft::of(text);
    return engine.update("k", hash("k"), [&](const View* view) {
      return view != nullptr && view->version() == version ? Change::write(draft) : Change::keep();
    });
  };
  EXPECT_EQ(swap("first"), Outcome::done);
  EXPECT_EQ(swap("second"), Outcome::kept);
  EXPECT_EQ(get(engine, "k"), "first");
}

TEST_F(EngineTest, ClearEmptiesAtOnceAndReclaimsBehind) {
  Heard heard;
  Engine& engine = make({.listener = heard.listener()});
  for (int index = 0; index < 1000; ++index) put(engine, "k" + std::to_string(index), "v");
  engine.clear();
  EXPECT_EQ(engine.figures().entries, 0u);
  for (int index = 0; index < 1000; ++index) EXPECT_FALSE(has(engine, "k" + std::to_string(index)));
  put(engine, "after", "v");
  EXPECT_TRUE(has(engine, "after"));
  for (int round = 0; round < 100 && !engine.maintain(); ++round) {
  }
  EXPECT_EQ(heard.removals.size(), 1000u);
  for (const auto& [key, cause] : heard.removals) EXPECT_EQ(cause, Cause::flushed) << key;
  EXPECT_EQ(engine.figures().entries, 1u);
}

TEST_F(EngineTest, ManyVisitsEachHitWithItsOwnIndex) {
  Engine& engine = make();
  std::vector<std::string> keys;
  std::vector<engine::Probe> probes;
  for (int index = 0; index < 100; ++index) keys.push_back("k" + std::to_string(index));
  for (int index = 0; index < 100; index += 2)
    put(engine, keys[static_cast<std::size_t>(index)], keys[static_cast<std::size_t>(index)]);
  for (const std::string& key : keys) probes.push_back({key, hash(key)});
  std::map<std::size_t, std::string> found;
  EXPECT_EQ(engine.visit_many(probes, [&](std::size_t index, const View& view) { found[index] = view.text(); }), 50u);
  EXPECT_EQ(found.size(), 50u);
  for (const auto& [index, text] : found) EXPECT_EQ(text, keys[index]);
}

TEST_F(EngineTest, IterationSeesWhatIsThereAndNothingElse) {
  Engine& engine = make({.max_items = 10'000});
  std::set<std::string> expected, seen;
  for (int index = 0; index < 2000; ++index) {
    const std::string key = "k" + std::to_string(index);
    put(engine, key, "v");
    if (index % 3 == 0) {
      engine.erase(key, hash(key));
    } else {
      expected.insert(key);
    }
  }
  engine.for_each([&](const View& view) { EXPECT_TRUE(seen.insert(std::string(view.key())).second); });
  EXPECT_EQ(seen, expected);
}

TEST_F(EngineTest, KeysWhoseHashesAreAllEqualStayCorrect) {
  Engine& engine = make({.max_items = 100'000});
  for (int index = 0; index < 1000; ++index) {
    const std::string key = "k" + std::to_string(index);
    EXPECT_TRUE(engine.put(key, 42, Draft::of(key)));
    bool right = false;
    EXPECT_TRUE(engine.visit(key, 42, [&](const View& view) { right = view.text() == key; }));
    EXPECT_TRUE(right);
  }
}

TEST_F(EngineTest, HitsAndMissesAddUp) {
  Engine& engine = make();
  put(engine, "k", "v");
  has(engine, "k");
  has(engine, "k");
  has(engine, "x");
  EXPECT_EQ(engine.figures().hits, 2u);
  EXPECT_EQ(engine.figures().misses, 1u);
}

TEST_F(EngineTest, AVisitorMayVisitAndWriteWithinAVisit) {
  Engine& engine = make();
  put(engine, "a", "1");
  engine.visit("a", hash("a"), [&](const View& outer) {
    for (int index = 0; index < 1000; ++index) put(engine, "a", std::to_string(index));
    EXPECT_EQ(outer.text(), "1");
    EXPECT_EQ(get(engine, "a"), "999");
  });
}

TEST_F(EngineTest, AVisitorThatSaysNoMakesAMiss) {
  Engine& engine = make();
  put(engine, "k", "v");
  EXPECT_FALSE(engine.visit("k", hash("k"), [](const View&) { return false; }));
  EXPECT_EQ(engine.figures().misses, 1u);
  EXPECT_EQ(engine.figures().hits, 0u);
}

TEST(EngineClock, TheMachinesClockExpiresEntries) {
  Engine engine({});
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  const Instant now(std::chrono::duration_cast<Duration>(std::chrono::seconds(at.tv_sec)) +
                    std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(at.tv_nsec)));
  engine.put("past", hash("past"), Draft::of("v").until(now));
  engine.put("future", hash("future"), Draft::of("v").until(now + 1h));
  EXPECT_FALSE(has(engine, "past"));
  EXPECT_TRUE(has(engine, "future"));
}

}  // namespace
