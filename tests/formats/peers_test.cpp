// The documents of json and msgpack, read and written by the libraries that others use for them.
#include <gtest/gtest.h>

#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif
#include <msgpack.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

#include "unit/values.hpp"

namespace flux::cache {
namespace {

using samples::decoded;
using samples::encoded;
using samples::Point;
using samples::Product;

const Format& json_format() { return *formats().find("json"); }
const Format& msgpack_format() { return *formats().find("msgpack"); }

TEST(JsonPeer, OurDocumentsSayToOthersWhatTheySayToUs) {
  const auto json = nlohmann::json::parse(encoded(json_format(), samples::product()));
  EXPECT_EQ(json.at("id"), 4711);
  EXPECT_EQ(json.at("name"), "Espresso machine \"Bella\"");
  EXPECT_EQ(json.at("price"), 249.9);
  EXPECT_EQ(json.at("active"), true);
  EXPECT_EQ(json.at("tags"), (std::vector<std::string>{"kitchen", "coffee", "steel"}));
  EXPECT_EQ(json.at("attributes").at("power"), "1350 W");
  EXPECT_EQ(json.at("brand"), "Bella");
  EXPECT_EQ(json.at("related"), (std::vector<int>{4712, 4713, 5000, 70000}));
  EXPECT_EQ(json.at("colour"), 200);
  EXPECT_EQ(json.at("place").at("y"), 13.405);
  EXPECT_EQ(json.size(), 15u);
}

TEST(JsonPeer, WeReadWhatOthersWrite) {
  const auto json = nlohmann::json::parse(encoded(json_format(), samples::product()));
  for (const int indent : {-1, 2}) {
    for (const bool ascii : {false, true}) {
      const auto back = decoded<Product>(json_format(), json.dump(indent, ' ', ascii));
      ASSERT_TRUE(back.ok()) << back.error().to_string();
      EXPECT_EQ(**back, samples::product());
    }
  }
}

TEST(JsonPeer, NumbersKeepTheirValue) {
  EXPECT_EQ(nlohmann::json::parse(encoded(json_format(), std::numeric_limits<std::uint64_t>::max())),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(nlohmann::json::parse(encoded(json_format(), std::numeric_limits<std::int64_t>::min())),
            std::numeric_limits<std::int64_t>::min());
  for (const double value : {0.1, 1e300, 5e-324, -1.0 / 3, 9007199254740993.0, 1.7976931348623157e308}) {
    EXPECT_EQ(nlohmann::json::parse(encoded(json_format(), value)).get<double>(), value);
    EXPECT_EQ(**decoded<double>(json_format(), nlohmann::json(value).dump()), value);
  }
}

TEST(JsonPeer, EveryUtf8TextComesThrough) {
  for (const std::string& text :
       {std::string("Käse 奶酪 🧀"), std::string("\0\x01\x1f\x7f\"\\/", 7), std::string()}) {
    EXPECT_EQ(nlohmann::json::parse(encoded(json_format(), text)).get<std::string>(), text);
    EXPECT_EQ(**decoded<std::string>(json_format(), nlohmann::json(text).dump(-1, ' ', true)), text);
  }
}

TEST(JsonPeer, FieldsMayComeInAnyOrderAndUnknownOnesArePassedOver) {
  const auto back = decoded<Point>(json_format(), R"({"z":{"deep":[1,{"x":5}]},"y":2,"w":"\n","x":1})");
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(**back, (Point{1, 2}));
  EXPECT_EQ(decoded<Point>(json_format(), R"({"x":1})").error().code, Errc::schema);
  EXPECT_EQ(decoded<Point>(json_format(), R"({"x":1,"y":2,"x":3})").error().code, Errc::corrupt);
  EXPECT_EQ(decoded<Point>(json_format(), R"({"x":"1","y":2})").error().code, Errc::wrong_type);
  EXPECT_EQ(decoded<Point>(json_format(), R"({"x":true,"y":2})").error().code, Errc::wrong_type);
}

struct Guest {
  std::string name;
  std::optional<std::string> email;
  std::unique_ptr<Guest> partner;
};

TEST(JsonPeer, OptionalFieldsMayBeMissing) {
  const auto guest = decoded<Guest>(json_format(), R"({"name":"Ada","partner":{"name":"Bob","email":"b@c.d"}})");
  ASSERT_TRUE(guest.ok()) << guest.error().to_string();
  EXPECT_EQ((*guest)->email, std::nullopt);
  EXPECT_EQ((*guest)->partner->email, "b@c.d");
}

TEST(MsgpackPeer, OurDocumentsSayToOthersWhatTheySayToUs) {
  for (const bool plain : {false, true}) {
    Product product = samples::product();
    if (!plain) product.related.clear();
    const std::string bytes = encoded(msgpack_format(), product, {.plain = plain});
    const auto handle = msgpack::unpack(bytes.data(), bytes.size());
    const auto fields = handle.get().as<std::map<std::string, msgpack::object>>();
    ASSERT_EQ(fields.size(), 15u);
    EXPECT_EQ(fields.at("id").as<std::int64_t>(), 4711);
    EXPECT_EQ(fields.at("name").as<std::string>(), product.name);
    EXPECT_EQ(fields.at("price").as<double>(), 249.9);
    EXPECT_EQ(fields.at("rating").as<float>(), 4.5F);
    EXPECT_EQ(fields.at("active").as<bool>(), true);
    EXPECT_EQ(fields.at("tags").as<std::vector<std::string>>(), product.tags);
    EXPECT_EQ((fields.at("attributes").as<std::map<std::string, std::string>>()), product.attributes);
    EXPECT_EQ(fields.at("discount").as<int>(), -15);
    if (plain) {
      EXPECT_EQ(fields.at("related").as<std::vector<std::int32_t>>(), product.related);
    }
  }
}

TEST(MsgpackPeer, WeReadWhatOthersWrite) {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer(buffer);
  packer.pack_map(3);
  packer.pack("more").pack(std::map<int, std::vector<double>>{{1, {2.5, -0.5}}});
  packer.pack("y").pack(2);
  packer.pack("x").pack(1.5F);
  const auto back = decoded<Point>(msgpack_format(), {buffer.data(), buffer.size()});
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  EXPECT_EQ(**back, (Point{1.5, 2}));
}

template <class T>
void expect_read(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  const auto back = decoded<T>(msgpack_format(), {buffer.data(), buffer.size()});
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  EXPECT_EQ(**back, value);
  const std::string ours = encoded(msgpack_format(), value, {.plain = true});
  EXPECT_EQ(msgpack::unpack(ours.data(), ours.size()).get().template as<T>(), value);
}

TEST(MsgpackPeer, EveryWidthOfEverythingIsUnderstoodBothWays) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    const std::uint64_t power = std::uint64_t{1} << bits;
    for (const std::uint64_t word : {power, power - 1, ~power + 1, ~power}) {
      const auto number = static_cast<std::int64_t>(word);
      expect_read(number);
      expect_read(static_cast<std::uint64_t>(number));
    }
  }
  for (const std::size_t size : {0U, 1U, 15U, 16U, 31U, 32U, 255U, 256U, 65535U, 65536U}) {
    expect_read(std::string(size, 'x'));
    expect_read(std::vector<bool>(size, true));
    expect_read(std::vector<std::uint8_t>(size, 7));
    expect_read(std::vector<std::int32_t>(size, -7));
    std::map<int, int> map;
    for (std::size_t i = 0; i < size; ++i) map[static_cast<int>(i)] = 1;
    expect_read(map);
  }
  expect_read(0.1F);
  expect_read(1e300);
  expect_read(true);
}

TEST(MsgpackPeer, OthersSeeNumbersInBulkAsAnExtension) {
  const std::string bytes = encoded(msgpack_format(), std::vector<std::int16_t>{1, -2});
  const auto handle = msgpack::unpack(bytes.data(), bytes.size());
  ASSERT_EQ(handle.get().type, msgpack::type::EXT);
  EXPECT_EQ(handle.get().via.ext.type(), 17);
  EXPECT_EQ(std::string(handle.get().via.ext.data(), handle.get().via.ext.size),
            std::string("\x03\x01\x00\xfe\xff", 5));
}

TEST(MsgpackPeer, NegativeZeroStaysNegative) {
  const auto back = decoded<double>(msgpack_format(), encoded(msgpack_format(), -0.0));
  EXPECT_TRUE(std::signbit(**back));
}

}  // namespace
}  // namespace flux::cache
