// Snapshots of the memory store: all of it, or nothing, never something wrong.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/repository.hpp>
#include <flux/cache/snapshot.hpp>
#include <flux/cache/stores/memory.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <fstream>
#include <functional>
#include <thread>

#include "support/scratch_directory.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

struct User {
  int id = 0;
  std::string name;
  bool operator==(const User&) const = default;
};

/// Nothing that can be written.
struct Private {
  std::function<void()> call{};
};

Repository cache_on(const Clock& clock) { return Repository(make_memory({.clock = &clock}), {.clock = &clock}); }

TEST(Snapshot, ARestartFindsWhatWasThere) {
  const ScratchDirectory directory;
  FakeClock clock;
  const Repository before = cache_on(clock);
  before.put("number", -7), before.put("text", std::string("a\0b", 3)), before.put("user", User{7, "Ada"}, 60s);
  before.put("above", std::uint64_t{1} << 63), before.put("list", std::vector<double>{0.5, -0.0});
  before.put("short", 1, 1s), before.put("private", Private{});
  before.tags({"red"}).put("tagged", User{1, "Bob"});
  const auto saved = save_snapshot(*before.store(), directory / "snapshot", {.clock = &clock});
  ASSERT_TRUE(saved.ok()) << saved.error().to_string();
  EXPECT_EQ(saved->entries, 7u);
  EXPECT_EQ(saved->left_out, 1u);

  clock.travel(20s);
  const Repository after = cache_on(clock);
  after.put("number", 8);
  const auto loaded = load_snapshot(*after.store(), directory / "snapshot", {.clock = &clock});
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  EXPECT_EQ(loaded->entries, 5u);
  EXPECT_EQ(after.get<int>("number"), 8) << "what is there already is newer";
  EXPECT_EQ(after.get<std::string>("text"), std::string("a\0b", 3));
  EXPECT_EQ(after.get<User>("user"), (User{7, "Ada"}));
  EXPECT_EQ(after.get_shared<User>("user"), after.get_shared<User>("user")) << "decoded once";
  EXPECT_EQ(after.expires_in("user"), 40s);
  EXPECT_EQ(after.get<std::uint64_t>("above"), std::uint64_t{1} << 63);
  EXPECT_EQ(after.pull<std::vector<double>>("list"), (std::vector<double>{0.5, -0.0}));
  EXPECT_FALSE(after.has("short"));
  EXPECT_TRUE(after.tags({"red"}).has("tagged"));
  EXPECT_EQ(after.many<User>({"user", "tagged"}).at("tagged"), (User{1, "Bob"}));
  after.tags({"red"}).flush();
  EXPECT_FALSE(after.has("tagged"));
}

TEST(Snapshot, DamageOfAnyKindLoadsNothing) {
  const ScratchDirectory directory;
  const std::string path = directory / "snapshot";
  FakeClock clock;
  const Repository before = cache_on(clock);
  for (int i = 0; i < 5; ++i) before.put("user " + std::to_string(i), User{i, "Ada"}, 60s);
  ASSERT_TRUE(save_snapshot(*before.store(), path, {.clock = &clock}).ok());
  std::ifstream in(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const bool flip : {false, true}) {
      std::string damaged = flip ? whole : whole.substr(0, at);
      if (flip) damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
      std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
      const Repository after = cache_on(clock);
      const auto loaded = load_snapshot(*after.store(), path, {.clock = &clock});
      ASSERT_FALSE(loaded.ok()) << at;
      for (int i = 0; i < 5; ++i) ASSERT_FALSE(after.has("user " + std::to_string(i)));
    }
  }
  EXPECT_EQ(load_snapshot(*before.store(), directory / "none").error().code, Errc::unavailable);
}

TEST(Snapshot, AKillInTheMiddleLeavesTheOneBefore) {
  const ScratchDirectory directory;
  const std::string path = directory / "snapshot";
  FakeClock clock;
  const Repository before = cache_on(clock);
  const std::string payload(20'000, 'x');
  for (int i = 0; i < 200; ++i) before.put("k" + std::to_string(i), payload);
  ASSERT_TRUE(save_snapshot(*before.store(), path, {.clock = &clock}).ok());
  for (int round = 0; round < 20; ++round) {
    const ::pid_t child = ::fork();
    if (child == 0) {
      for (;;) (void)save_snapshot(*before.store(), path, {.clock = &clock});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(3 + round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Repository after = cache_on(clock);
    const auto loaded = load_snapshot(*after.store(), path, {.clock = &clock});
    ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
    ASSERT_EQ(loaded->entries, 200u);
  }
}

}  // namespace
}  // namespace flux::cache::testing
