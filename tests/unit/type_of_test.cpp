// type_of.hpp: fingerprints, weights, lanes, and what lives in memory only.
#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <thread>

#include "unit/values.hpp"

namespace flux::cache {
namespace {

using samples::Colour;
using samples::Node;
using samples::Point;
using samples::Product;

template <class T>
std::uint64_t print_of() {
  return type_of<T>().fingerprint;
}

namespace before {
struct User {
  int id = 0;
  std::string name;
};
}  // namespace before
namespace renamed_field {
struct User {
  int id = 0;
  std::string title;
};
}  // namespace renamed_field
namespace retyped_field {
struct User {
  long id = 0;
  std::string name;
};
}  // namespace retyped_field
namespace swapped_fields {
struct User {
  std::string name;
  int id = 0;
};
}  // namespace swapped_fields
namespace moved_elsewhere {
struct User {
  int id = 0;
  std::string name;
};
}  // namespace moved_elsewhere
namespace other_name {
struct Person {
  int id = 0;
  std::string name;
};
}  // namespace other_name

TEST(Fingerprint, NeverChangesAndIsTheSameOnEveryCompiler) {
  EXPECT_EQ(print_of<std::string>(), 0xc97818c978184318U);
  EXPECT_EQ(print_of<std::vector<std::byte>>(), 0xae8519ae8519bc06U);
  EXPECT_EQ(print_of<int>(), 0x7919fb7919fba84cU);
  EXPECT_EQ(print_of<Point>(), 0xd223a29405a6a884U);
  EXPECT_EQ(print_of<Product>(), 0xb14606b71fe78a23U);
  EXPECT_EQ(print_of<Node>(), 0x27352971faf3a0f7U);
  EXPECT_EQ((print_of<std::map<std::string, std::vector<std::optional<double>>>>()), 0xe94df5e94df56ac2U);
  EXPECT_EQ((print_of<std::variant<int, std::tuple<float, bool>>>()), 0x9dd4cd9dd4cd2c93U);
}

TEST(Fingerprint, TellsAStructThatChangedFromAnotherStruct) {
  const std::uint64_t now = print_of<before::User>();
  for (const std::uint64_t changed :
       {print_of<renamed_field::User>(), print_of<retyped_field::User>(), print_of<swapped_fields::User>()}) {
    EXPECT_NE(changed, now);
    EXPECT_TRUE(detail::is_other_state(changed, now));
  }
  EXPECT_NE(print_of<other_name::Person>(), now);
  EXPECT_FALSE(detail::is_other_state(print_of<other_name::Person>(), now));
  EXPECT_TRUE(
      detail::is_other_state(print_of<std::vector<renamed_field::User>>(), print_of<std::vector<before::User>>()));
}

TEST(Fingerprint, DoesNotDependOnTheNamespace) {
  EXPECT_EQ(print_of<moved_elsewhere::User>(), print_of<before::User>());
}

TEST(Fingerprint, WidthsOfNumbersCountTheirSpellingDoesNot) {
  EXPECT_EQ(print_of<long>(), print_of<long long>());
  EXPECT_NE(print_of<int>(), print_of<long>());
  EXPECT_NE(print_of<int>(), print_of<unsigned>());
  EXPECT_NE(print_of<std::vector<int>>(), print_of<std::vector<long>>());
}

TEST(Fingerprint, KindsOfContainersDiffer) {
  const std::set<std::uint64_t> prints{print_of<std::vector<int>>(),         print_of<std::set<int>>(),
                                       print_of<std::optional<int>>(),       print_of<std::map<int, int>>(),
                                       print_of<std::pair<int, int>>(),      print_of<std::array<int, 2>>(),
                                       print_of<std::variant<int, int>>(),   print_of<std::vector<std::vector<int>>>(),
                                       print_of<std::array<int, 3>>(),       print_of<std::chrono::seconds>(),
                                       print_of<std::chrono::milliseconds>()};
  EXPECT_EQ(prints.size(), 11u);
}

TEST(Type, NamesItselfAsTheCompilerSpellsIt) {
  EXPECT_EQ(type_of<int>().name, "int");
  EXPECT_EQ(type_of<Product>().name, "flux::cache::samples::Product");
}

TEST(Type, IsOneTableForTheWholeProgram) { EXPECT_EQ(&type_of<Product>(), &type_of<Product>()); }

TEST(Type, LanesOfNumbersTextAndBytes) {
  EXPECT_EQ(type_of<int>().lane, Lane::integer);
  EXPECT_EQ(type_of<char>().lane, std::is_signed_v<char> ? Lane::integer : Lane::natural);
  EXPECT_EQ(type_of<std::uint64_t>().lane, Lane::natural);
  EXPECT_EQ(type_of<Colour>().lane, Lane::natural);
  EXPECT_EQ(type_of<bool>().lane, Lane::object);
  EXPECT_EQ(type_of<double>().lane, Lane::object);
  EXPECT_EQ(type_of<std::string>().lane, Lane::text);
  EXPECT_EQ(type_of<std::vector<std::byte>>().lane, Lane::bytes);
  EXPECT_EQ(type_of<std::vector<std::uint8_t>>().lane, Lane::bytes);
  EXPECT_EQ(type_of<Product>().lane, Lane::object);
}

struct WithFunction {
  std::function<void()> call;
  std::string name;
};
struct WithPointer {
  int* elsewhere = nullptr;
};
struct WithArray {
  int numbers[3] = {};
};
struct Deep {
  std::vector<std::map<std::string, std::optional<WithPointer>>> levels;
};
class Closed {
 public:
  virtual ~Closed() = default;
};
class Shape {
  int sides_ = 3;
  FLUX_CACHE_FIELDS(Shape, sides_)

 public:
  virtual ~Shape() = default;
};
struct HoldsShape {
  std::shared_ptr<Shape> shape;
};
struct Recursive {
  std::vector<Recursive> inner;
  std::shared_ptr<std::mutex> mutex;
};

template <class T>
bool is_memory_only() {
  return type_of<T>().save == nullptr && type_of<T>().load == nullptr && type_of<T>().fingerprint == 0;
}

TEST(Type, WhatCannotBeWrittenLivesInMemoryOnly) {
  EXPECT_TRUE(is_memory_only<WithFunction>());
  EXPECT_TRUE(is_memory_only<WithPointer>());
  EXPECT_TRUE(is_memory_only<WithArray>());
  EXPECT_TRUE(is_memory_only<Deep>());
  EXPECT_TRUE(is_memory_only<Closed>());
  EXPECT_TRUE(is_memory_only<std::shared_ptr<void>>());
  EXPECT_TRUE(is_memory_only<std::function<int()>>());
  EXPECT_TRUE(is_memory_only<Recursive>());
  EXPECT_TRUE(is_memory_only<long double>());
  EXPECT_TRUE(is_memory_only<std::thread::id>());
  EXPECT_FALSE(is_memory_only<Product>());
}

TEST(Type, APointerToABaseIsNotWrittenSinceItWouldBeCutShort) {
  EXPECT_FALSE(is_memory_only<Shape>());
  EXPECT_TRUE(is_memory_only<HoldsShape>());
}

template <class T>
std::size_t weight(const T& value) {
  return type_of<T>().weigh(&value);
}

TEST(Weight, IsTheObjectItselfWhereItOwnsNothing) {
  EXPECT_EQ(weight(5), sizeof(int));
  EXPECT_EQ(weight(Point{}), sizeof(Point));
  EXPECT_EQ(weight(std::string("short")), sizeof(std::string));
  EXPECT_EQ(weight(std::vector<int>{}), sizeof(std::vector<int>));
}

TEST(Weight, CountsTheHeapOfStringsAndContainers) {
  EXPECT_NEAR(static_cast<double>(weight(std::string(10'000, 'x'))), 10'000 + sizeof(std::string), 64);
  EXPECT_NEAR(static_cast<double>(weight(std::vector<double>(1000))), 8000 + sizeof(std::vector<double>), 64);
  std::vector<std::string> many(100, std::string(1000, 'x'));
  EXPECT_GE(weight(many), 100 * (1000 + sizeof(std::string)));
  EXPECT_LE(weight(many), 100 * (1000 + sizeof(std::string)) + 100 * 48);
}

TEST(Weight, CountsReservedRoom) {
  std::vector<int> roomy;
  roomy.reserve(10'000);
  EXPECT_GE(weight(roomy), 40'000u);
  std::string text;
  text.reserve(5000);
  EXPECT_GE(weight(text), 5000u);
}

TEST(Weight, CountsNodesOfMapsAndWhatPointersOwn) {
  std::map<int, int> map;
  for (int i = 0; i < 100; ++i) map[i] = i;
  EXPECT_GE(weight(map), 100 * (sizeof(std::pair<const int, int>) + 32));
  EXPECT_GE(weight(std::make_unique<std::string>(2000, 'x')), 2000 + sizeof(std::string));
  EXPECT_GE(weight(std::make_shared<std::string>(2000, 'x')), 2000 + sizeof(std::string));
  EXPECT_EQ(weight(std::shared_ptr<std::string>()), sizeof(std::shared_ptr<std::string>));
}

TEST(Weight, GoesThroughStructsVariantsAndTuples) {
  Product product = samples::product();
  const std::size_t before = weight(product);
  product.tags[0].assign(5000, 'x');
  EXPECT_NEAR(static_cast<double>(weight(product)), static_cast<double>(before) + 5000, 64);
  const std::variant<int, std::string> variant = std::string(1000, 'x');
  EXPECT_GE(weight(variant), 1000u);
  EXPECT_GE(weight(std::tuple<int, std::string>(1, std::string(1000, 'x'))), 1000u);
  EXPECT_GE(weight(WithFunction{nullptr, std::string(1000, 'x')}), 1000u);
}

TEST(Weight, FollowsARecursiveType) {
  Node root;
  root.children.resize(10);
  root.next = std::make_unique<Node>();
  EXPECT_GE(weight(root), 12 * sizeof(Node));
}

}  // namespace
}  // namespace flux::cache
