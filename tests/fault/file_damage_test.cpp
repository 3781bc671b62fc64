// Entries whose bytes changed on the disk: a miss or the truth, never another value, never an older one.
#include <algorithm>
#include <thread>

#include "support/file_cache.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;

/// What a read answers: the value in words, "miss" or "corrupt".
std::string answer_of(const FileCache& cache, const std::string& key) {
  std::string seen(kMiss);
  auto there = cache.store().get(Key(key), {}, [&](const Entry& entry) { seen = show(entry.value); });
  if (!there.ok()) return there.error().code == Errc::corrupt ? "corrupt" : to_string(there.error().code).data();
  return seen;
}

TEST(FileDamage, AnEntryThatDoesNotCheckOutIsReportedOnceAndRemoved) {
  FileCache cache;
  cache.put("k", text("value"));
  std::string bytes = bytes_of(cache.file());
  bytes.back() ^= 1;
  write_bytes(cache.file(), bytes);
  EXPECT_EQ(answer_of(cache, "k"), "corrupt");
  EXPECT_TRUE(cache.files().empty());
  EXPECT_EQ(answer_of(cache, "k"), kMiss);
  EXPECT_TRUE(cache.put("k", text("new")));
  EXPECT_EQ(answer_of(cache, "k"), show(text("new")));
}

// The file holds the older value beside the living one, which no damage may bring back.
TEST(FileDamage, NoFlippedBitBringsBackAnOlderValueOrMakesUpANewOne) {
  FileCache cache(memory_backed_directory());
  const TagStamp tags[] = {{"tag", 7}};
  cache.put("k", {.value = text("the older value"), .tags = tags, .notes = "older"});
  cache.put("k", {.value = text("the newer value"), .tags = tags, .notes = "newer"});
  const std::string file = cache.file();
  const std::string good = bytes_of(file);
  const std::string truth = show(text("the newer value"));
  int harmless = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    write_bytes(file, bytes);
    const std::string answer = answer_of(cache, "k");
    ASSERT_TRUE(answer == truth || answer == kMiss || answer == "corrupt") << "bit " << bit << ": " << answer;
    harmless += answer == truth;
  }
  EXPECT_LT(harmless, 8 * 64);  // in the place of the older record, and in gaps
}

TEST(FileDamage, NoTruncationIsTakenForAValue) {
  FileCache cache(memory_backed_directory());
  cache.put("k", text(std::string(500, 'o')));
  cache.put("k", text(std::string(500, 'n')));
  const std::string file = cache.file();
  const std::string good = bytes_of(file);
  for (std::size_t size = 0; size < good.size(); ++size) {
    write_bytes(file, good.substr(0, size));
    const std::string answer = answer_of(cache, "k");
    ASSERT_TRUE(answer == kMiss || answer == "corrupt") << size << ": " << answer;
  }
}

TEST(FileDamage, GarbageOfAnySizeIsNoValueAndDoesNotHinderWriting) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{104}, std::size_t{105}, std::size_t{4096}, std::size_t{100'000}}) {
    FileCache cache;
    const std::string file = cache.file_of("k");
    write_bytes(file, std::string(size, 'g'));
    EXPECT_TRUE(cache.put("k", text("v"), {}, {When::absent})) << size;
    EXPECT_EQ(answer_of(cache, "k"), show(text("v")));
    write_bytes(file, std::string(size, 'g'));
    EXPECT_EQ(answer_of(cache, "k"), "corrupt");
    write_bytes(file, std::string(size, '\0'));
    EXPECT_EQ(answer_of(cache, "k"), kMiss);
    EXPECT_EQ(cache.increment("k", 3), 3);
  }
}

TEST(FileDamage, AnEntryUnderTheNameOfAnotherKeyIsAMissThere) {
  FileCache cache;
  const std::string victim = cache.file_of("victim"), other = cache.file_of("other");
  cache.put("victim", text("of the victim"));
  cache.put("other", text("of the other"));
  fs::copy_file(other, victim, fs::copy_options::overwrite_existing);
  EXPECT_EQ(answer_of(cache, "victim"), kMiss);
  EXPECT_FALSE(cache.forget("victim"));
  EXPECT_EQ(answer_of(cache, "other"), show(text("of the other")));
  fs::copy_file(other, victim, fs::copy_options::overwrite_existing);
  EXPECT_TRUE(cache.put("victim", text("new"), {}, {When::absent}));
  EXPECT_EQ(answer_of(cache, "victim"), show(text("new")));
}

TEST(FileDamage, ADamagedEntryDoesNotHideTheOthersOfItsBatch) {
  FileCache cache;
  cache.put("a", text("1"));
  const std::string file = cache.file_of("b");
  cache.put("c", text("3"));
  write_bytes(file, "garbage");
  std::vector<std::string> seen(3, std::string(kMiss));
  const Key keys[] = {Key("a"), Key("b"), Key("c")};
  const auto found = [&](std::size_t i, const Entry& entry) { seen[i] = show(entry.value); };
  const auto unreadable = [&](std::size_t i, std::unique_ptr<Error> why) { seen[i] = to_string(why->code); };
  EXPECT_TRUE(cache.store().get_many(keys, {}, {found, unreadable}).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{show(text("1")), "corrupt", show(text("3"))}));
}

TEST(FileDamage, PruneTakesWhatIsDamagedAndWhatWasNeverFinished) {
  FileCache cache;
  write_bytes(cache.file_of("a"), "garbage");
  write_bytes(cache.file_of("b"), "");
  cache.put("c", text("good"));
  EXPECT_EQ(cache.prune(), 2U);
  EXPECT_EQ(cache.files().size(), 1U);
}

TEST(FileDamage, AHeadThatClaimsMoreThanTheFileHoldsTakesNoMemory) {
  FileCache cache;
  cache.put("k", text(std::string(1 << 20, 'x')));
  fs::resize_file(cache.file(), 5000);
  EXPECT_EQ(answer_of(cache, "k"), "corrupt");
}

TEST(FileDamage, AScanPassesOverWhatIsDamagedOrMisplaced) {
  FileCache cache;
  cache.put("a", text("good"));
  const std::string other = cache.file_of("b");
  write_bytes(cache.file_of("c"), "garbage");
  fs::copy_file(other, fs::path(other).parent_path() / std::string(30, '0'));
  const auto listed = cache.list();
  ASSERT_TRUE(listed.has_value());
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].first, "a");
  EXPECT_EQ((*listed)[1].first, "b");
}

// Readers take no lock, so they meet writers in the middle of their work all the time.
TEST(FileDamage, ReadersThatMeetAWriterSeeOneOfItsValuesWhole) {
  FileCache cache(memory_backed_directory());
  const auto value = [](int i) {
    return std::string(static_cast<std::size_t>(1000 + i * 997 % 60'000), static_cast<char>('a' + i % 26));
  };
  cache.put("k", text(value(0)));
  std::atomic<bool> is_over{false};
  std::atomic<int> wrong{0}, seen{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!is_over) {
        auto there = cache.store().get(Key("k"), {}, [&](const Entry& entry) {
          const std::string_view text = entry.value.text;
          wrong += text.size() < 1000 || text.find_first_not_of(text.front()) != std::string_view::npos;
        });
        wrong += !there.ok() || !*there;
        ++seen;
      }
    });
  }
  for (int i = 1; i < 3000; ++i) cache.put("k", text(value(i)));
  is_over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace flux::cache::testing
