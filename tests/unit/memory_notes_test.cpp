#include <gtest/gtest.h>
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memory.hpp>

#include <chrono>
#include <optional>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

TEST(MemoryNotes, AShortNoteOnAnEntryIsReadBackAsItWasWritten) {
  const StorePtr store = make_memory();
  const std::string note = "\1\2";
  Entry entry;
  entry.value = {.kind = flux::cache::Kind::text, .text = "v"};
  entry.notes = note;
  ASSERT_TRUE(store->put(Key("k"), entry, {}).value());
  std::string read;
  ASSERT_TRUE(store->get(Key("k"), {}, [&](const Entry& found) { read = found.notes; }).value());
  EXPECT_EQ(read, note);
}

TEST(MemoryNotes, ARememberedEmptyAnswerSparesTheLoader) {
  const Repository cache(make_memory());
  int looked = 0;
  const auto look = [&] {
    return cache.remember("ghost", {.hours = 1, .negative = 30s}, [&]() -> std::optional<int> {
      ++looked;
      return std::nullopt;
    });
  };
  EXPECT_FALSE(look());
  EXPECT_FALSE(look());
  EXPECT_EQ(looked, 1);
}

}  // namespace
}  // namespace flux::cache
