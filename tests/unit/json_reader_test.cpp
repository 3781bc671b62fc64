// detail/json_reader.hpp: strict JSON, token by token.
#include <gtest/gtest.h>
#include <flux/cache/detail/base64.hpp>
#include <flux/cache/detail/json_reader.hpp>

#include <string>
#include <vector>

namespace flux::cache::detail {
namespace {

/// The first error of a document, or nothing.
std::string error_of(std::string_view text, std::size_t depth = 64) {
  JsonReader json(text, depth);
  json.skip();
  json.finish();
  return std::string(json.reason());
}

std::string text_of(std::string_view text) {
  JsonReader json(text);
  std::string value(json.text());
  return json.failed() ? "error: " + std::string(json.reason()) : value;
}

TEST(JsonReader, ReadsWhatTheStandardAllows) {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "12",
                           "-1.5",
                           "1e5",
                           "1E+5",
                           "0.1e-7",
                           "\"\"",
                           "[]",
                           "{}",
                           " [ ] ",
                           "[1,2,[3]]",
                           "{\"a\":1,\"b\":[{}]}",
                           "\t\n\r {\"\":null}\n",
                           "\"\\u0000\"",
                           "\"\x7f\"",
                           "{\"a\":1,\"a\":2}"}) {
    EXPECT_EQ(error_of(text), "") << text;
  }
}

TEST(JsonReader, RefusesWhatItDoesNot) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "nulll",
                           "True",
                           "01",
                           "-",
                           "+1",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "0x1",
                           "NaN",
                           "Infinity",
                           "'a'",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "[",
                           "]",
                           "{",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{1:2}",
                           "[1}",
                           "1 2",
                           "\"",
                           "\"\n\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800\\u0041\"",
                           "// x\n1",
                           "/* */1",
                           "\"\xff\"",
                           "\"\xc0\xaf\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xe2\x82\"",
                           "\xef\xbb\xbf{}",
                           "\"\\\"",
                           "[\"a\\\\\\\"]"}) {
    EXPECT_NE(error_of(text), "") << text;
  }
}

TEST(JsonReader, StringsLoseTheirEscapes) {
  EXPECT_EQ(text_of(R"("plain")"), "plain");
  EXPECT_EQ(text_of(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(text_of(R"("\u0041\u00e9\u20ac\ud83e\uddc0")"), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\xa7\x80");
  EXPECT_EQ(text_of(R"("before\u0000after")"), std::string("before\0after", 12));
  EXPECT_EQ(text_of("\"a long text of more than eight bytes, \xc3\xa9, and an escape\\n\""),
            "a long text of more than eight bytes, \xc3\xa9, and an escape\n");
}

TEST(JsonReader, StringsWithoutEscapesAreViewsOfTheInput) {
  const std::string input = "\"plain\"";
  JsonReader json(input);
  EXPECT_EQ(json.text().data(), input.data() + 1);
}

TEST(JsonReader, PullsMembersAndElements) {
  JsonReader json(R"({"name": "Ada", "scores": [1, 2.5], "none": null, "yes": true})");
  ASSERT_TRUE(json.begin_object());
  std::string_view name;
  ASSERT_TRUE(json.next_member(name));
  EXPECT_EQ(name, "name");
  EXPECT_EQ(json.peek(), JsonKind::text);
  EXPECT_EQ(json.text(), "Ada");
  ASSERT_TRUE(json.next_member(name));
  ASSERT_TRUE(json.begin_array());
  std::vector<std::string> numbers;
  while (json.next_element()) numbers.emplace_back(json.number());
  EXPECT_EQ(numbers, (std::vector<std::string>{"1", "2.5"}));
  ASSERT_TRUE(json.next_member(name));
  EXPECT_EQ(json.peek(), JsonKind::null);
  EXPECT_TRUE(json.null());
  ASSERT_TRUE(json.next_member(name));
  EXPECT_TRUE(json.boolean());
  EXPECT_FALSE(json.next_member(name));
  EXPECT_TRUE(json.finish());
}

TEST(JsonReader, ErrorsNameLineAndColumn) {
  JsonReader json("{\n  \"a\": 1,\n  \"b\": tru\n}");
  json.skip();
  ASSERT_TRUE(json.failed());
  EXPECT_EQ(json.reason(), "expected true or false");
  EXPECT_EQ(json.place().line, 3u);
  EXPECT_EQ(json.place().column, 8u);
}

TEST(JsonReader, TheFirstErrorStays) {
  JsonReader json("[1 2]");
  json.skip();
  const std::string first(json.reason());
  const std::size_t where = json.offset();
  json.skip();
  json.begin_object();
  json.finish();
  EXPECT_EQ(json.reason(), first);
  EXPECT_EQ(json.offset(), where);
  EXPECT_EQ(json.peek(), JsonKind::nothing);
  EXPECT_EQ(json.text(), "");
  EXPECT_FALSE(json.next_element());
}

TEST(JsonReader, TheOffsetOfAValueIsWhereItBegins) {
  JsonReader json("  [ 10,\n 200]");
  json.begin_array();
  json.next_element();
  json.number();
  json.next_element();
  json.number();
  EXPECT_EQ(json.place().line, 2u);
  EXPECT_EQ(json.place().column, 2u);
}

TEST(JsonReader, DepthIsBounded) {
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')), "");
  for (const std::size_t depth : {65U, 100'000U, 1'000'000U}) {
    EXPECT_EQ(error_of(std::string(depth, '[')), "nested too deeply") << depth;
  }
  std::string objects;
  for (int i = 0; i < 1000; ++i) objects += "{\"a\":";
  JsonReader json(objects);
  json.skip();
  EXPECT_TRUE(json.is_too_deep());
}

TEST(JsonReader, SiblingsDoNotAddUp) {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += i == 0 ? "[[]]" : ",[[]]";
  EXPECT_EQ(error_of(text + "]", 3), "");
}

TEST(JsonReader, FindsSpecialBytesAtEveryPlace) {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string plain(size, 'a');
    EXPECT_EQ(find_special(plain.data(), plain.data() + size), plain.data() + size);
    for (std::size_t at = 0; at < size; ++at) {
      for (const char special : {'"', '\\', '\x1f', '\0', '\x80', '\xff'}) {
        std::string text = plain;
        text[at] = special;
        EXPECT_EQ(find_special(text.data(), text.data() + size) - text.data(), static_cast<std::ptrdiff_t>(at));
      }
      for (const char harmless : {' ', '\x7f', '!', '#', '[', ']'}) {
        std::string text = plain;
        text[at] = harmless;
        EXPECT_EQ(find_special(text.data(), text.data() + size) - text.data(), static_cast<std::ptrdiff_t>(size));
      }
    }
  }
}

TEST(Utf8, EveryCodePointComesBackAndNothingElse) {
  for (std::uint32_t code = 1; code <= 0x10ffff; code += code < 0x3000 ? 1 : 97) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    std::string text;
    append_utf8(text, code);
    EXPECT_EQ(utf8_sequence(text.data(), text.data() + text.size()), text.size()) << code;
    for (std::size_t size = 1; size < text.size(); ++size) {
      EXPECT_EQ(utf8_sequence(text.data(), text.data() + size), 0u) << code;
    }
  }
  for (const char* bad : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(utf8_sequence(bad, bad + std::string_view(bad).size()), 0u) << bad;
  }
}

TEST(Base64, IsThatOfTheStandard) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    std::string encoded, decoded;
    append_base64(encoded, plain);
    EXPECT_EQ(encoded, text);
    EXPECT_TRUE(decode_base64(text, decoded));
    EXPECT_EQ(decoded, plain);
  }
}

TEST(Base64, HasOneFormOnly) {
  std::string decoded;
  for (const char* text : {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm-_"}) {
    EXPECT_FALSE(decode_base64(text, decoded)) << text;
  }
}

}  // namespace
}  // namespace flux::cache::detail
