// Values of every kind, and the way through a format and back, for the tests of formats and frames.
#pragma once
#include <flux/cache/format.hpp>
#include <flux/cache/frame.hpp>
#include <flux/cache/serial.hpp>

#include <array>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace flux::cache {
namespace samples {

enum class Colour : std::uint8_t { red = 1, green = 2, blue = 200 };

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Product {
  std::int64_t id = 0;
  std::string name;
  std::string description;
  double price = 0;
  std::uint32_t stock = 0;
  bool active = false;
  std::vector<std::string> tags;
  std::map<std::string, std::string> attributes;
  std::optional<std::string> brand;
  float rating = 0;
  std::int16_t discount = 0;
  std::uint64_t views = 0;
  std::vector<std::int32_t> related;
  Colour colour = Colour::red;
  Point place;
  bool operator==(const Product&) const = default;
};

inline Product product() {
  return {4711,
          "Espresso machine \"Bella\"",
          "Fifteen bar of pressure, a steam wand, and a tank of 1.8 litres; in stainless steel.",
          249.9,
          12,
          true,
          {"kitchen", "coffee", "steel"},
          {{"weight", "4.5 kg"}, {"power", "1350 W"}, {"volume", "1.8 l"}},
          "Bella",
          4.5F,
          -15,
          1234567,
          {4712, 4713, 5000, 70000},
          Colour::blue,
          {52.52, 13.405}};
}

struct Node {
  int value = 0;
  std::vector<Node> children;
  std::unique_ptr<Node> next;
};

inline bool operator==(const Node& a, const Node& b) {
  if ((a.next == nullptr) != (b.next == nullptr)) return false;
  return a.value == b.value && a.children == b.children && (a.next == nullptr || *a.next == *b.next);
}

class Account {
  FLUX_CACHE_FIELDS(Account, owner_, balance_)

 public:
  Account() = default;
  Account(std::string owner, std::int64_t balance) : owner_(std::move(owner)), balance_(balance) {}
  bool operator==(const Account&) const = default;

 private:
  std::string owner_;
  std::int64_t balance_ = 0;
};

/// A class without a default constructor, known by its codec.
class Money {
 public:
  static Money of_cents(std::int64_t cents) { return Money(cents); }
  std::int64_t cents() const { return cents_; }
  bool operator==(const Money&) const = default;

 private:
  explicit Money(std::int64_t cents) : cents_(cents) {}
  std::int64_t cents_;
};

}  // namespace samples

template <>
struct Codec<samples::Money> {
  static constexpr std::string_view name = "Money";
  static void save(const samples::Money& money, Writer& out) { out.integer(money.cents()); }
  static samples::Money load(Reader& in) { return samples::Money::of_cents(in.integer()); }
};

namespace samples {

template <class T>
std::string encoded(const Format& format, const T& value, EncodeOptions options = {}) {
  std::string out;
  auto done = format.encode(type_of<T>(), &value, out, options);
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().to_string());
  return out;
}

template <class T>
Result<std::shared_ptr<T>> decoded(const Format& format, std::string_view bytes, const Limits& limits = {}) {
  auto loaded = format.decode(type_of<T>(), bytes, limits);
  if (!loaded.ok()) return Result<std::shared_ptr<T>>(loaded.take_error());
  return std::static_pointer_cast<T>(*loaded);
}

/// What comes out of the format when `value` went in, once for ourselves and once for other programs.
template <class T>
void expect_round_trip(const Format& format, const T& value) {
  for (const bool plain : {false, true}) {
    const std::string bytes = encoded(format, value, {.plain = plain});
    auto back = decoded<T>(format, bytes);
    ASSERT_TRUE(back.ok()) << format.name() << ": " << back.error().to_string();
    EXPECT_TRUE(**back == value) << format.name() << " of " << type_of<T>().name;
  }
}

}  // namespace samples
}  // namespace flux::cache
