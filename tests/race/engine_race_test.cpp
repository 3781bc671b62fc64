// The engine among threads: linearizable per key, nothing torn, nothing reclaimed under a reader, whole after a fork.
#include <flux/cache/engine/engine.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace flux::cache;
using namespace std::chrono_literals;
using engine::Change;
using engine::Draft;
using engine::Engine;
using engine::Outcome;
using engine::View;

std::uint64_t hash(std::string_view key) { return detail::hash_key(key); }

#if defined(FLUX_CACHE_TSAN) || defined(FLUX_CACHE_ASAN)
constexpr int kScale = 1;
#else
constexpr int kScale = 5;
#endif

// ---- a checker of histories ----

enum class Verb { put, get, erase, add, exchange, pull };

/// One call: when it began and ended on a shared counter, what it asked for and what it got. Value 0 is "nothing".
struct Call {
  Verb verb;
  int key;
  std::uint32_t wrote = 0;
  std::uint32_t got = 0;
  std::uint64_t from = 0, to = 0;
};

/// Searches an order of the calls that a map of one key could have had (J. Wing, C. Gong, "Testing and Verifying
/// Concurrent Objects", 1993). `lossy`: the entry may be evicted at any moment.
class Checker {
 public:
  Checker(std::vector<Call> calls, bool lossy) : calls_(std::move(calls)), lossy_(lossy) {}
  bool linearizable() { return search(0, 0); }

 private:
  /// The state after the call if its answer fits the state before; -1 if it does not.
  static std::int64_t apply(const Call& call, std::uint32_t state) {
    switch (call.verb) {
      case Verb::put: return call.wrote;
      case Verb::get: return call.got == state ? std::int64_t{state} : -1;
      case Verb::erase: return call.got == (state != 0) ? 0 : -1;
      case Verb::add: return call.got == (state == 0) ? std::int64_t{state == 0 ? call.wrote : state} : -1;
      case Verb::exchange: return call.got == state ? std::int64_t{call.wrote} : -1;
      case Verb::pull: return call.got == state ? 0 : -1;
    }
    return -1;
  }
  bool search(std::uint64_t done, std::uint32_t state) {
    if (done == (std::uint64_t{1} << calls_.size()) - 1) return true;
    if (!tried_.emplace(done, state).second) return false;
    std::uint64_t first_end = ~std::uint64_t{0};
    for (std::size_t at = 0; at < calls_.size(); ++at)
      if ((done >> at & 1) == 0) first_end = std::min(first_end, calls_[at].to);
    for (std::size_t at = 0; at < calls_.size(); ++at) {
      if ((done >> at & 1) != 0 || calls_[at].from > first_end) continue;
      const std::int64_t next = apply(calls_[at], state);
      if (next >= 0 && search(done | std::uint64_t{1} << at, static_cast<std::uint32_t>(next))) return true;
    }
    return lossy_ && state != 0 && search(done, 0);
  }
  std::vector<Call> calls_;
  bool lossy_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> tried_;
};

TEST(HistoryChecker, AcceptsWhatOverlapsAndRefusesWhatCannotBe) {
  const Call put{Verb::put, 0, 7, 0, 1, 4};
  EXPECT_TRUE(Checker({put, {Verb::get, 0, 0, 0, 2, 3}}, false).linearizable());
  EXPECT_TRUE(Checker({put, {Verb::get, 0, 0, 7, 2, 3}}, false).linearizable());
  EXPECT_FALSE(Checker({put, {Verb::get, 0, 0, 0, 5, 6}}, false).linearizable());
  EXPECT_TRUE(Checker({put, {Verb::get, 0, 0, 0, 5, 6}}, true).linearizable());
  EXPECT_FALSE(Checker({put, {Verb::get, 0, 0, 8, 5, 6}}, true).linearizable());
  EXPECT_FALSE(Checker({put, {Verb::get, 0, 0, 0, 5, 6}, {Verb::get, 0, 0, 7, 7, 8}}, true).linearizable());
}

std::string text_of(std::uint32_t value, bool large) {
  std::string text(large ? 5000 : 8, static_cast<char>(value));
  std::memcpy(text.data(), &value, sizeof value);
  return text;
}
std::uint32_t value_of(const View& view) {
  std::uint32_t value;
  std::memcpy(&value, view.text().data(), sizeof value);
  return value;
}

TEST(EngineRace, EveryHistoryIsLinearizablePerKey) {
  std::mt19937_64 seeds(99);
  for (int round = 0; round < 120 * kScale; ++round) {
    engine::Options options;
    options.policy = static_cast<engine::Policy>(seeds() % 3);
    const bool lossy = seeds() % 2 == 0;
    if (lossy) options.max_items = 1 + seeds() % 3;
    const bool large = seeds() % 4 == 0;
    const bool one_hash = seeds() % 4 == 0;  // all keys crowd one place of the table
    Engine engine(options);
    std::atomic<std::uint64_t> time{1};
    std::atomic<int> ready{0};
    constexpr int kThreads = 4, kCalls = 12, kKeys = 3;
    std::vector<std::vector<Call>> histories(kThreads);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread, seed = seeds()] {
        std::mt19937_64 random(seed);
        ++ready;
        while (ready < kThreads) std::this_thread::yield();
        for (int index = 0; index < kCalls; ++index) {
          Call call{static_cast<Verb>(random() % 6), static_cast<int>(random() % kKeys)};
          const std::string key = "key" + std::to_string(call.key);
          const std::uint64_t code = one_hash ? 77 : hash(key);
          call.wrote = static_cast<std::uint32_t>(1 + thread * 1000 + index);
          const std::string text = text_of(call.wrote, large);
          const Draft draft = Draft::of(std::string_view(text));
          call.from = time.fetch_add(1);
          switch (call.verb) {
            case Verb::put: engine.put(key, code, draft); break;
            case Verb::get: engine.visit(key, code, [&](const View& view) { call.got = value_of(view); }); break;
            case Verb::erase: call.got = engine.erase(key, code); break;
            case Verb::add:
              call.got = engine.update(key, code, [&](const View* view) {
                return view == nullptr ? Change::write(draft) : Change::keep();
              }) == Outcome::done;
              break;
            case Verb::exchange:
              engine.update(key, code, [&](const View* view) {
                call.got = view != nullptr ? value_of(*view) : 0;
                return Change::write(draft);
              });
              break;
            case Verb::pull:
              engine.update(key, code, [&](const View* view) {
                call.got = view != nullptr ? value_of(*view) : 0;
                return Change::remove();
              });
              break;
          }
          call.to = time.fetch_add(1);
          histories[static_cast<std::size_t>(thread)].push_back(call);
        }
      });
    }
    for (auto& thread : threads) thread.join();
    for (int key = 0; key < kKeys; ++key) {
      std::vector<Call> calls;
      for (const auto& history : histories)
        for (const Call& call : history)
          if (call.key == key) calls.push_back(call);
      ASSERT_TRUE(Checker(calls, lossy).linearizable()) << "round " << round << ", key " << key;
    }
    ASSERT_EQ(engine.check(), "");
  }
}

TEST(EngineRace, ReadersNeverSeeATornOrReclaimedValue) {
  Engine engine({.max_items = 300});
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0}, hits{0};
  std::vector<std::thread> threads;
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&, reader] {
      std::mt19937 random(static_cast<unsigned>(reader));
      while (!stop) {
        const std::string key = "k" + std::to_string(random() % 500);
        hits += engine.visit(key, hash(key), [&](const View& view) {
          const std::string_view text = view.text();
          if (view.key() != key || text.substr(0, key.size()) != key) ++wrong;
          for (const char byte : text.substr(key.size()))
            if (byte != text.back()) ++wrong;
        });
      }
    });
  }
  std::thread writer([&] {
    std::mt19937 random(77);
    for (int round = 0; round < 30'000 * kScale; ++round) {
      const std::string key = "k" + std::to_string(random() % 500);
      const std::string text =
          key + std::string(10 + random() % (round % 50 == 0 ? 4000 : 150), char('a' + random() % 26));
      if (random() % 10 == 0) {
        engine.erase(key, hash(key));
      } else {
        engine.put(key, hash(key), Draft::of(std::string_view(text)));
      }
      if (round % 5000 == 0) engine.clear();
      if (round % 100 == 0) engine.maintain();
    }
    stop = true;
  });
  writer.join();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(engine.check(), "");
}

TEST(EngineRace, CountersAreExactAmongThreads) {
  Engine engine({});
  engine.put("n", hash("n"), Draft::of(std::int64_t{0}));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int index = 0; index < 5000; ++index)
        engine.update("n", hash("n"), [](const View* view) { return Change::count(view->integer() + 1); });
    });
  }
  for (auto& thread : threads) thread.join();
  engine.visit("n", hash("n"), [](const View& view) { EXPECT_EQ(view.integer(), 40'000); });
}

TEST(EngineRace, ACompareAndSwapNeverOverlooksAnIncrement) {
  Engine engine({});
  engine.put("n", hash("n"), Draft::of(std::int64_t{0}));
  std::atomic<std::int64_t> added{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int index = 0; index < 3000 * kScale; ++index) {
        if (thread % 2 == 0) {
          engine.update("n", hash("n"), [](const View* view) { return Change::count(view->integer() + 1); });
          ++added;
          continue;
        }
        std::uint64_t version = 0;
        std::int64_t seen = 0;
        engine.visit("n", hash("n"), [&](const View& view) {
          version = view.version();
          seen = view.integer();
        });
        const Draft draft = Draft::of(seen + 1);
        added += engine.update("n", hash("n"), [&](const View* view) {
          return view->version() == version ? Change::write(draft) : Change::keep();
        }) == Outcome::done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  engine.visit("n", hash("n"), [&](const View& view) { EXPECT_EQ(view.integer(), added); });
}

TEST(EngineRace, EveryObjectIsDestroyedOnce) {
  static std::atomic<int> alive{0};
  struct Counted {
    int value;
    explicit Counted(int v) : value(v) { ++alive; }
    ~Counted() {
      value = -1;
      --alive;
    }
  };
  static const Type type{.name = "Counted", .weigh = nullptr};
  {
    Engine engine({.max_items = 50});
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        std::mt19937 random(static_cast<unsigned>(thread));
        for (int index = 0; index < 5000 * kScale; ++index) {
          const int id = static_cast<int>(random() % 100);
          const std::string key = std::to_string(id);
          if (random() % 3 == 0) {
            engine.put(key, hash(key), Draft::of(std::make_shared<const Counted>(id), type));
          } else {
            Object kept;
            engine.visit(key, hash(key), [&](const View& view) { kept = view.share(); });
            if (kept != nullptr && static_cast<const Counted*>(kept.get())->value != id) ++wrong;
          }
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
  EXPECT_EQ(alive, 0);
}

TEST(EngineRace, AFlushHidesWhatWasPutBeforeAndShowsWhatIsPutAfter) {
  Engine engine({.shards = 8});
  for (int round = 0; round < 50 * kScale; ++round) {
    std::vector<std::thread> threads;
    std::atomic<int> ready{0};
    for (int thread = 0; thread < 3; ++thread) {
      threads.emplace_back([&, thread] {
        ++ready;
        for (int index = 0; index < 50; ++index) {
          const std::string key = std::to_string(thread) + "." + std::to_string(index);
          engine.put(key, hash(key), Draft::of("v"));
        }
      });
    }
    for (auto& thread : threads) thread.join();
    engine.clear();
    EXPECT_EQ(engine.figures().entries, 0u);
    engine.put("after", hash("after"), Draft::of("v"));
    EXPECT_TRUE(engine.visit("after", hash("after"), [](const View&) {}));
    EXPECT_FALSE(engine.visit("0.0", hash("0.0"), [](const View&) {}));
  }
  EXPECT_EQ(engine.check(), "");
}

TEST(EngineRace, ThreadsMayComeAndGo) {
  Engine engine({.max_items = 100});
  for (int round = 0; round < 60; ++round) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int index = 0; index < 50; ++index) {
          const std::string key = std::to_string(thread * 50 + index);
          engine.put(key, hash(key), Draft::of("v"));
          engine.visit(key, hash(key), [](const View&) {});
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(engine.check(), "");
}

/// Uses a cache in the destructor of a thread-local object, after the library's own thread-local state may be gone.
struct LateUser {
  Engine* engine = nullptr;
  ~LateUser() {
    if (engine != nullptr) engine->put("late", hash("late"), Draft::of("v"));
  }
};

TEST(EngineRace, AThreadLocalDestructorMayUseTheEngine) {
  Engine engine({});
  std::thread([&] {
    static thread_local LateUser user;
    user.engine = &engine;  // constructed before the engine first meets this thread, so destroyed after
    engine.put("early", hash("early"), Draft::of("v"));
  }).join();
  EXPECT_TRUE(engine.visit("late", hash("late"), [](const View&) {}));
}

#if !defined(FLUX_CACHE_TSAN)
TEST(EngineRace, AForkedChildMayUseTheEngine) {
  Engine engine({.max_items = 10'000});
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(static_cast<unsigned>(thread));
      while (!stop) {
        const std::string key = std::to_string(random() % 1000);
        engine.put(key, hash(key), Draft::of("v"));
        engine.visit(key, hash(key), [](const View&) {});
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool ok = engine.check().empty();
      for (int index = 0; index < 3000; ++index) {
        const std::string key = "child" + std::to_string(index);
        ok = engine.put(key, hash(key), Draft::of("v")) && ok;
        ok = engine.visit(key, hash(key), [](const View&) {}) && ok;
      }
      for (int step = 0; step < 10; ++step) engine.maintain(100'000);
      ::_exit(ok ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
}
#endif

/// Lives until the very end of the process and is used by a static destructor.
struct StaticUser {
  Engine engine{engine::Options{.max_items = 100}};
  ~StaticUser() {
    engine.put("static", hash("static"), Draft::of("v"));
    if (!engine.visit("static", hash("static"), [](const View&) {})) std::abort();
  }
};
StaticUser static_user;

TEST(EngineRace, AStaticDestructorMayUseTheEngine) {
  EXPECT_TRUE(static_user.engine.put("k", hash("k"), Draft::of("v")));  // the rest happens when the process ends
}

}  // namespace
