// A directory of the file store in format 1, as the first release wrote it; docs/formats/file_record.md tells the
// bytes.
//
// It is never rewritten. FLUX_GOLDEN_WRITE=1 writes it where it is missing.
#include <cstdlib>

#include "golden/entries.hpp"
#include "stores/file/record.hpp"
#include "support/file_cache.hpp"

namespace flux::cache::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(FLUX_CACHE_SOURCE_DIR) / "tests/golden/file_v1";

TEST(FileGolden, ADirectoryOfFormatOneIsReadByThisRelease) {
  if (!fs::exists(kGolden) && std::getenv("FLUX_GOLDEN_WRITE") != nullptr)
    golden::put_entries(StoreProbe(make_file({.path = kGolden.string(), .prefix = "Golden:"})));
  ASSERT_TRUE(fs::exists(kGolden));
  const FileCache cache;
  fs::copy(kGolden, cache.path(), fs::copy_options::recursive);
  fs::permissions(cache.path(), fs::perms(0700));
  const StoreProbe store(cache.open({.prefix = "Golden:"}));
  golden::expect_entries(store);
}

TEST(FileGolden, AHeadIsWrittenAsTheFormatSays) {
  namespace file_store = detail::file_store;
  const file_store::Head head{.version = 0x1122334455667788,
                              .fresh_until = 1'000'000,
                              .keep_until = INT64_MAX,
                              .number = -1,
                              .kind = Kind::bytes,
                              .tag_count = 2,
                              .key_bytes = 3,
                              .offset = 112,
                              .text_bytes = 9,
                              .tag_bytes = 30,
                              .note_bytes = 4,
                              .meta_sum = 5,
                              .text_sum = 6,
                              .key_sum = file_store::checksum("key")};
  char bytes[file_store::kHeadBytes];
  file_store::encode_head(head, bytes);
  std::string hex;
  for (const char byte : bytes) {
    hex += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  EXPECT_EQ(hex,
            "4658434501006800887766554433221140420f0000000000ffffffffffffff7fffffffffffffffff"
            "0400020003000000700000000000000009000000000000001e000000040000000500000000000000"
            "0600000000000000d711e8411dbad12a5e63452d88c7bf84");
  file_store::Head again;
  EXPECT_EQ(file_store::decode_head(bytes, sizeof bytes, again), file_store::HeadState::good);
  EXPECT_EQ(again.text_bytes, 9U);
}

}  // namespace
}  // namespace flux::cache::testing
