// integer.hpp: whole numbers as decimal text.
#include <gtest/gtest.h>
#include <flux/cache/integer.hpp>

#include <limits>

namespace flux::cache {
namespace {

TEST(Integer, EveryNumberOf64BitsComesBackFromItsText) {
  for (const std::int64_t number :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::int64_t{42}, std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()}) {
    const Integer integer{number, false};
    EXPECT_EQ(format_integer(integer), std::to_string(number));
    EXPECT_EQ(parse_integer(std::to_string(number)), integer);
  }
}

TEST(Integer, NumbersAboveTheSignedRangeKeepTheirValue) {
  const auto most = parse_integer("18446744073709551615");
  ASSERT_TRUE(most);
  EXPECT_TRUE(most->above);
  EXPECT_EQ(static_cast<std::uint64_t>(most->bits), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(format_integer(*most), "18446744073709551615");
  EXPECT_FALSE(most->fits_signed());
  EXPECT_TRUE(most->fits_unsigned());
}

TEST(Integer, ThereIsOneWayToWriteANumber) {
  for (const char* text : {"", "-", "+1", "01", "-01", "00", "-0", " 1", "1 ", "1.0", "1e3", "0x10", "1,000", "--1",
                           "1-", "\xd9\xa1", "12a", "1\n"}) {
    EXPECT_FALSE(parse_integer(text)) << '"' << text << '"';
  }
  EXPECT_FALSE(parse_integer(std::string_view("1\0", 2)));
}

TEST(Integer, NumbersBeyond64BitsAreNone) {
  EXPECT_TRUE(parse_integer("-9223372036854775808"));
  EXPECT_FALSE(parse_integer("-9223372036854775809"));
  EXPECT_FALSE(parse_integer("18446744073709551616"));
  EXPECT_FALSE(parse_integer("99999999999999999999"));
  EXPECT_FALSE(parse_integer("100000000000000000000000000000000000000"));
}

TEST(Integer, SaysWhetherItFits) {
  EXPECT_TRUE(parse_integer("-1")->fits_signed());
  EXPECT_FALSE(parse_integer("-1")->fits_unsigned());
  EXPECT_TRUE(parse_integer("9223372036854775807")->fits_signed());
  EXPECT_FALSE(parse_integer("9223372036854775808")->fits_signed());
}

}  // namespace
}  // namespace flux::cache
