// adapters/: types that nlohmann/json and msgpack-c know already.
#include <gtest/gtest.h>

#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif
#include <flux/cache/adapters/msgpack.hpp>
#include <flux/cache/adapters/nlohmann.hpp>

#include "unit/values.hpp"

namespace flux::cache {
namespace {

/// Has a constructor and private parts, so that nothing but its own functions can take it apart.
class Song {
 public:
  Song() = default;
  Song(std::string title, int seconds) : title_(std::move(title)), seconds_(seconds), gain_(-1.5) {}
  bool operator==(const Song&) const = default;

  friend void to_json(nlohmann::json& json, const Song& song) {
    if (song.seconds_ < 0) throw std::invalid_argument("a song of negative length");
    json = {
        {"title", song.title_}, {"seconds", song.seconds_}, {"gain", song.gain_}, {"parts", {1, 2.5, nullptr, "x"}}};
  }
  friend void from_json(const nlohmann::json& json, Song& song) {
    song.title_ = json.at("title").get<std::string>();
    song.seconds_ = json.at("seconds").get<int>();
    song.gain_ = json.at("gain").get<double>();
  }

 private:
  std::string title_;
  int seconds_ = 0;
  double gain_ = 0;
};

class Album {
 public:
  Album() = default;
  explicit Album(std::vector<std::string> titles) : titles_(std::move(titles)), plays_{{"mon", 3}, {"tue", -4}} {}
  bool operator==(const Album&) const = default;
  MSGPACK_DEFINE(titles_, plays_, rating_)

 private:
  std::vector<std::string> titles_;
  std::map<std::string, int> plays_;
  double rating_ = 4.75;
};

struct Shelf {
  Song song;
  std::vector<Album> albums;
  bool operator==(const Shelf&) const = default;
};

}  // namespace

template <>
struct Codec<Song> : NlohmannCodec<Song> {};
template <>
struct Codec<Album> : MsgpackCodec<Album> {};

namespace {

using samples::decoded;
using samples::encoded;
using samples::expect_round_trip;

class Adapters : public testing::TestWithParam<const char*> {
 protected:
  const Format& format() const { return *formats().find(GetParam()); }
};

TEST_P(Adapters, TypesWithToJsonComeBack) { expect_round_trip(format(), Song("Kashmir", 517)); }

TEST_P(Adapters, TypesWithMsgpackDefineComeBack) { expect_round_trip(format(), Album({"one", "two", ""})); }

TEST_P(Adapters, BothStandWithinOtherTypes) {
  expect_round_trip(format(), Shelf{Song("Kashmir", 517), {Album({"a"}), Album()}});
}

TEST_P(Adapters, WhatTheirFunctionsThrowIsAnError) {
  const Song negative("x", -1);
  std::string out;
  EXPECT_EQ(format().encode(type_of<Song>(), &negative, out, {}).error().code, Errc::not_serializable);
}

TEST_P(Adapters, BytesThatDoNotFitAreAnError) {
  const std::string bytes = encoded(format(), std::string("not a song"));
  EXPECT_FALSE(decoded<Song>(format(), bytes).ok());
  EXPECT_FALSE(decoded<Album>(format(), bytes).ok());
}

TEST_P(Adapters, TruncatedBytesAreAnError) {
  const std::string bytes = encoded(format(), Album({"one", "two"}));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decoded<Album>(format(), std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Adapters, testing::Values("native", "msgpack", "json"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Adapters, StandAsThemselvesInPlainDocuments) {
  EXPECT_EQ(encoded(*formats().find("json"), Song("Kashmir", 517)),
            R"({"gain":-1.5,"parts":[1,2.5,null,"x"],"seconds":517,"title":"Kashmir"})");
  EXPECT_EQ(encoded(*formats().find("json"), Album({"one"})), R"([["one"],{"mon":3,"tue":-4},4.75])");
}

}  // namespace
}  // namespace flux::cache
