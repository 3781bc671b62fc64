// Write-behind with a journal: what was acknowledged is written, once and in order, whatever kills the process.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <flux/cache/patterns/write_behind.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

#include "support/scratch_directory.hpp"

namespace flux::cache::testing {
namespace {

using namespace std::chrono_literals;

struct Score {
  std::string player;
  int points = 0;
  bool operator==(const Score&) const = default;
};
using Scores = WriteBehind<Score>;

/// What a writer was handed, in order.
struct Sink {
  Scores::Writer writer() {
    return [this](std::span<const Scores::Write> batch) {
      if (fails) throw std::runtime_error("the database is away");
      const std::scoped_lock guard(mutex);
      for (const auto& write : batch) rows.push_back(write);
    };
  }
  std::mutex mutex;
  std::vector<Scores::Write> rows;
  std::atomic<bool> fails{false};
};

WriteBehindOptions with(const std::string& journal) {
  return {.flush_interval = 10min, .retry_pause = 1ms, .drain = 10ms, .journal = journal};
}

TEST(Journal, WhatWasNotWrittenIsWrittenByTheNextQueueOnceAndInOrder) {
  const ScratchDirectory directory;
  Sink away;
  away.fails = true;
  {
    Scores scores(with(directory / "journal"), away.writer());
    for (int i = 0; i < 250; ++i) EXPECT_TRUE(scores.put("k" + std::to_string(i % 10), Score{"Ada", i}));
  }
  Sink sink;
  {
    Scores scores(with(directory / "journal"), sink.writer());
    EXPECT_EQ(scores.figures().replayed, 250u);
    EXPECT_TRUE(scores.put("new", Score{"Bob", 1}));
    scores.flush();
  }
  ASSERT_EQ(sink.rows.size(), 251u);
  for (int i = 0; i < 250; ++i) {
    EXPECT_EQ(sink.rows[static_cast<std::size_t>(i)].value, (Score{"Ada", i}));
    if (i > 0) {
      EXPECT_GT(sink.rows[static_cast<std::size_t>(i)].sequence, sink.rows[static_cast<std::size_t>(i) - 1].sequence);
    }
  }
  EXPECT_EQ(sink.rows.back().key, "new");
  Sink third;
  {
    Scores scores(with(directory / "journal"), third.writer());
    EXPECT_EQ(scores.pending(), 0u);
  }
  EXPECT_TRUE(third.rows.empty()) << "what was written is not written again";
}

TEST(Journal, WhatWasDroppedForWantOfRoomIsNotReplayed) {
  const ScratchDirectory directory;
  Sink away;
  away.fails = true;
  WriteBehindOptions options = with(directory / "journal");
  options.max_pending = 5;
  options.when_full = WhenFull::drop_oldest;
  {
    Scores scores(options, away.writer());
    for (int i = 0; i < 8; ++i) EXPECT_TRUE(scores.put("k", Score{"Ada", i}));
  }
  Sink sink;
  Scores scores(options, sink.writer());
  scores.flush();
  EXPECT_EQ(sink.rows.size(), 5u);
}

TEST(Journal, OneQueueAtATime) {
  const ScratchDirectory directory;
  Sink sink;
  Scores first(with(directory / "journal"), sink.writer());
  EXPECT_THROW(Scores(with(directory / "journal"), sink.writer()), ConfigError);
}

TEST(Journal, ATypeThatLivesInMemoryOnlyIsRefused) {
  const ScratchDirectory directory;
  struct Private {
    std::function<void()> call{};
  };
  EXPECT_THROW(WriteBehind<Private>(with(directory / "journal"), [](auto) {}), ConfigError);
}

TEST(Journal, ATornTailAndAFlippedBitLoseNothingBeforeThem) {
  const ScratchDirectory directory;
  const std::string path = directory / "journal";
  Sink away;
  away.fails = true;
  {
    Scores scores(with(path), away.writer());
    for (int i = 0; i < 20; ++i) scores.put("k", Score{"Ada", i});
  }
  std::ifstream in(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  for (std::size_t size = 8; size < whole.size(); size += 7) {
    for (const bool flip : {false, true}) {
      std::string damaged = flip ? whole : whole.substr(0, size);
      if (flip) damaged[size] = static_cast<char>(damaged[size] ^ 4);
      std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
      Sink sink;
      {
        Scores scores(with(path), sink.writer());
        scores.flush();
      }
      for (std::size_t i = 0; i < sink.rows.size(); ++i)
        ASSERT_EQ(sink.rows[i].value, (Score{"Ada", static_cast<int>(i)})) << size;
      ASSERT_LE(sink.rows.size(), 20u);
    }
  }
}

TEST(Journal, AWriterOfAnotherTypeLeavesOutWhatItCannotRead) {
  const ScratchDirectory directory;
  Sink away;
  away.fails = true;
  {
    Scores scores(with(directory / "journal"), away.writer());
    scores.put("k", Score{"Ada", 1});
  }
  WriteBehind<std::vector<double>> other(with(directory / "journal"), [](auto) {});
  EXPECT_EQ(other.figures().unreadable, 1u);
  EXPECT_EQ(other.pending(), 0u);
}

/// A process that puts as fast as it can, tells how many were acknowledged, and is killed in the middle of it.
TEST(Journal, WhatWasAcknowledgedSurvivesKill) {
  const ScratchDirectory directory;
  const std::string path = directory / "journal";
  auto* const acknowledged =
      static_cast<std::atomic<int>*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(acknowledged, MAP_FAILED);
  int written = 0;
  for (int round = 0; round < 20; ++round) {
    acknowledged->store(written);
    const ::pid_t child = ::fork();
    if (child == 0) {
      Sink away;
      away.fails = true;
      Scores scores(with(path), away.writer());
      for (int i = acknowledged->load();; ++i)
        if (scores.put("k" + std::to_string(i % 7), Score{"Ada", i})) acknowledged->store(i + 1);
    }
    const int before = acknowledged->load();
    for (int wait = 0; wait < 5'000 && acknowledged->load() < before + 50; ++wait) std::this_thread::sleep_for(1ms);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const int promised = acknowledged->load();
    ASSERT_GT(promised, before);
    Sink sink;
    {
      Scores scores(with(path), sink.writer());
      scores.flush();
    }
    int next = written;
    for (const auto& row : sink.rows) ASSERT_EQ(row.value.points, next++) << "once, and in order";
    ASSERT_GE(next, promised) << "an acknowledged write was lost";
    ASSERT_LE(next, promised + 1);
    written = next;
  }
  ::munmap(acknowledged, 4096);
}

}  // namespace
}  // namespace flux::cache::testing
