// settings.hpp: strict JSON, the tree, and what is hidden.
#include <gtest/gtest.h>
#include <flux/cache/error.hpp>
#include <flux/cache/settings.hpp>

#include <chrono>
#include <string>
#include <tuple>
#include <vector>

namespace flux::cache {
namespace {

using Kind = Settings::Kind;

/// The message of the refusal, or "" where the text was accepted.
std::string refusal(std::string_view json) {
  try {
    (void)Settings::parse(json);
    return {};
  } catch (const ConfigError& error) {
    return error.error().message;
  }
}

TEST(SettingsParser, ReadsEachKindOfValue) {
  const Settings tree =
      Settings::parse(R"( {"a": null, "b": true, "c": false, "d": -7, "e": 1.5e2, "f": "x", "g": [1, []],
                                             "h": {}} )");
  ASSERT_EQ(tree.kind(), Kind::map);
  EXPECT_TRUE(tree.find("a")->is_null());
  EXPECT_TRUE(tree.find("b")->boolean());
  EXPECT_EQ(tree.find("c")->kind(), Kind::boolean);
  EXPECT_FALSE(tree.find("c")->boolean());
  EXPECT_EQ(tree.find("d")->integer(), -7);
  EXPECT_EQ(tree.find("e")->kind(), Kind::real);
  EXPECT_EQ(tree.find("e")->real(), 150);
  EXPECT_EQ(tree.find("f")->text(), "x");
  EXPECT_EQ(tree.find("g")->size(), 2u);
  EXPECT_TRUE((*tree.find("g"))[1].is_list());
  EXPECT_TRUE(tree.find("h")->is_map());
  EXPECT_EQ(tree.find("i"), nullptr);
}

TEST(SettingsParser, KeepsTheOrderOfAMap) {
  const Settings tree = Settings::parse(R"({"z": 1, "a": 2, "m": 3})");
  EXPECT_EQ(tree.name(0) + tree.name(1) + tree.name(2), "zam");
}

TEST(SettingsParser, ReadsIntegersUpToBothEndsOf64Bits) {
  EXPECT_EQ(Settings::parse("9223372036854775807").integer(), INT64_MAX);
  EXPECT_EQ(Settings::parse("-9223372036854775808").integer(), INT64_MIN);
  EXPECT_EQ(refusal("9223372036854775808"), "line 1, column 1: an integer beyond 64 bits");
}

TEST(SettingsParser, ReadsEveryEscape) {
  EXPECT_EQ(Settings::parse(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00")").text(),
            "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(Settings::parse(R"("a\u0000b")").text(), std::string("a\0b", 3));
}

TEST(SettingsParser, TellsLineAndColumnOfEachValue) {
  const Settings tree = Settings::parse("{\n  \"a\": 1,\r\n\t\"b\": [\n true]}");
  EXPECT_EQ(tree.find("a")->line(), 2u);
  EXPECT_EQ(tree.find("a")->column(), 8u);
  EXPECT_EQ(tree.find("b")->line(), 3u);
  EXPECT_EQ((*tree.find("b"))[0].line(), 4u);
  EXPECT_EQ((*tree.find("b"))[0].column(), 2u);
}

TEST(SettingsParser, NamesThePlaceOfEachMistake) {
  const std::vector<std::tuple<std::string, std::string>> cases = {
      {"", "line 1, column 1: expected a value, found the end of the text"},
      {"{", "line 1, column 2: expected ',' or '}', found the end of the text"},
      {"[1,]", "line 1, column 4: expected a value, found ']'"},
      {"{\"a\": 1,}", "line 1, column 9: expected a member's name, found '}'"},
      {"{\"a\" 1}", "line 1, column 6: expected ':', found '1'"},
      {"{\"a\": 1\n \"b\": 2}", "line 2, column 2: expected ',' or '}', found '\"'"},
      {"[1 2]", "line 1, column 4: expected ',' or ']', found '2'"},
      {"[1] 2", "line 1, column 5: expected the end of the document, found '2'"},
      {"// no\n1", "line 1, column 1: expected a value, found '/'"},
      {"nul", "line 1, column 1: expected null, found 'n'"},
      {"+1", "line 1, column 1: expected a value, found '+'"},
      {"01", "line 1, column 1: a number with a leading zero"},
      {"-", "line 1, column 1: expected a number"},
      {"1.", "line 1, column 1: expected a digit after the point"},
      {"1.e1", "line 1, column 1: expected a digit after the point"},
      {"1e", "line 1, column 1: expected a digit in the exponent"},
      {"1e999", "line 1, column 1: a number beyond the range of a double"},
      {"NaN", "line 1, column 1: expected a value, found 'N'"},
      {"'a'", "line 1, column 1: expected a value, found '''"},
      {"\"a", "line 1, column 1: a string that does not end"},
      {"\"a\nb\"", "line 1, column 3: a control byte in a string; escape it"},
      {"\"\\x\"", "line 1, column 2: an unknown escape in a string"},
      {"\"\\u12g4\"", "line 1, column 2: an unknown escape in a string"},
      {"\"\\ud800\"", "line 1, column 2: half a surrogate pair"},
      {"\"\\ude00\"", "line 1, column 2: half a surrogate pair"},
      {"\"\\ud800\\u0041\"", "line 1, column 2: half a surrogate pair"},
      {"\"\xff\"", "line 1, column 2: invalid UTF-8 in a string"},
      {"\"\xc0\xaf\"", "line 1, column 2: invalid UTF-8 in a string"},
      {"\"\xed\xa0\x80\"", "line 1, column 2: invalid UTF-8 in a string"},
      {"\"\xf4\x90\x80\x80\"", "line 1, column 2: invalid UTF-8 in a string"},
      {"\"\xe2\x82", "line 1, column 2: invalid UTF-8 in a string"},
      {"\xef\xbb\xbf{}", "line 1, column 1: the text begins with a byte order mark; save it without one"},
      {std::string("1\0", 2), "line 1, column 2: expected the end of the document, found 0x00"},
      {"{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", "line 3, column 2: the key \"a\" stands here twice"},
      {"{\"a\": 1, \"\\u0061\": 3}", "line 1, column 10: the key \"a\" stands here twice"},
  };
  for (const auto& [json, message] : cases) EXPECT_EQ(refusal(json), message) << json;
}

TEST(SettingsParser, NestsSixtyFourDeepAndNoDeeper) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(refusal(nested(64)), "");
  EXPECT_EQ(refusal(nested(65)), "line 1, column 65: lists and maps nested deeper than 64");
  EXPECT_EQ(refusal(std::string(1'000'000, '[')), "line 1, column 65: lists and maps nested deeper than 64");
  std::string maps;
  for (int i = 0; i < 100'000; ++i) maps += "{\"a\":";
  EXPECT_NE(refusal(maps).find("nested deeper than 64"), std::string::npos);
}

TEST(SettingsParser, RefusesATextOverSixteenMebibytes) {
  EXPECT_EQ(refusal(std::string(kMaxSettingsBytes + 1, ' ')), "line 1, column 1: the text is over 16 MiB");
}

TEST(SettingsParser, RefusesMoreValuesThanItsLimit) {
  std::string json = "[0";
  for (std::size_t i = 2; i < kMaxSettingsNodes; ++i) json += ",0";
  EXPECT_EQ(refusal(json + "]"), "");
  EXPECT_NE(refusal(json + ",0]").find("more than 200000 values"), std::string::npos);
}

TEST(Settings, FollowsAJsonPointer) {
  const Settings tree = Settings::parse(R"({"a": {"b/c": [10, 20], "~": 1, "": 2}})");
  EXPECT_EQ(tree.at(""), &tree);
  EXPECT_EQ(tree.at("/a/b~1c/1")->integer(), 20);
  EXPECT_EQ(tree.at("/a/~0")->integer(), 1);
  EXPECT_EQ(tree.at("/a/")->integer(), 2);
  for (const char* nowhere : {"a", "/b", "/a/b~1c/2", "/a/b~1c/-1", "/a/b~1c/x", "/a/~2", "/a/~", "/a/~0/x"})
    EXPECT_EQ(tree.at(nowhere), nullptr) << nowhere;
}

TEST(Settings, WritesWhatItReads) {
  const std::string json = R"({"a":[1,-2.5,1e+30,"q\"\\\n\u0001",null,true],"b":{},"c":[],"d":2.0})";
  const Settings tree = Settings::parse(json);
  EXPECT_EQ(tree.to_json(false), json);
  EXPECT_EQ(Settings::parse(tree.to_json(true)), tree);
}

TEST(Settings, WritesBytesThatAreNoTextAsReplacementCharacters) {
  EXPECT_EQ(Settings("a\xff"
                     "b\xc3")
                .to_json(),
            R"("a\ufffdb\ufffd")");
}

TEST(Settings, ComparesByValueAndIgnoresTheOrderOfAMap) {
  EXPECT_EQ(Settings::parse(R"({"a": 1, "b": [2]})"), Settings::parse(R"({"b": [2],
"a": 1})"));
  EXPECT_FALSE(Settings::parse("[1, 2]") == Settings::parse("[2, 1]"));
  EXPECT_FALSE(Settings(1) == Settings(1.0));
  EXPECT_FALSE(Settings::parse(R"({"a": 1})") == Settings::parse(R"({"b": 1})"));
}

TEST(Settings, AreBuiltByHandLikeAnyValue) {
  Settings tree;
  tree.set("a", 1).set("ignored", 2);  // an integer turns into nothing else
  tree.set("list", Settings::list()).push("x");
  tree.set("a", true);
  EXPECT_EQ(tree.to_json(false), R"({"a":true,"list":["x"]})");
  const Settings copy = tree;
  tree.set("a", false);
  EXPECT_TRUE(copy.find("a")->boolean());
}

TEST(Settings, RedactsWhatASecretsNameHolds) {
  const Settings tree = Settings::parse(R"({"password": "c", "Auth_Token": 7, "auth": {"user": "c", "x": ["c"]},
      "tls": {"key_passphrase": "c"}, "sasl_auth": "c", "list": [{"secret": "c"}], "password_file": null, "tokens": true})");
  EXPECT_EQ(tree.redacted().to_json(false),
            R"({"password":"***","Auth_Token":"***","auth":"***","tls":{"key_passphrase":"***"},"sasl_auth":"***",)"
            R"("list":[{"secret":"***"}],"password_file":null,"tokens":true})");
}

TEST(Settings, RedactsUserInfoAndSecretParametersOfUrls) {
  const auto redacted = [](const char* text) { return Settings(text).redacted().text(); };
  const auto inside = [](const char* text) {
    Settings map = Settings::map();
    map.set("url", text);
    return map.redacted().find("url")->text();
  };
  EXPECT_EQ(inside("redis://user:canary@host:6379/1"), "redis://***@host:6379/1");
  EXPECT_EQ(inside("redis://:can/a#r?y@host/1"), "redis://***@host/1");
  EXPECT_EQ(inside("redis://:canary@@host"), "redis://***@host");
  EXPECT_EQ(inside("redis://host/1?password=canary&x=1"), "redis://host/1?***");
  EXPECT_EQ(inside("host=h password=canary"), "***");
  EXPECT_EQ(inside("redis://host:6379/1?timeout=3"), "redis://host:6379/1?timeout=3");
  EXPECT_EQ(inside("a@b"), "a@b");
  EXPECT_EQ(redacted("plain"), "plain");
}

TEST(Settings, KeepTheirPlaceWhenRedacted) {
  const Settings tree = Settings::parse("{\n\"password\": \"x\"}").redacted();
  EXPECT_EQ(tree.find("password")->line(), 2u);
}

}  // namespace
}  // namespace flux::cache
