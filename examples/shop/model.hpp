// examples/shop/model.hpp - what a shop talks about. Plain structs: cacheable as they stand.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace shop {

using Id = std::int64_t;

struct Product {
  Id id = 0;  // 1 is the most popular product, 2 the next...
  std::string name;
  std::string category;
  std::string brand;
  std::string description;
  std::int64_t cents = 0;
  std::int64_t popularity = 0;  // how many other products need this one
};

struct Category {
  std::string name;
  std::int64_t products = 0;
};

enum class Order { popular, by_name, cheapest };

/// What a category page shows.
struct Filter {
  std::string category;
  std::string brand{};  // empty: all of them
  Order order = Order::popular;
  int page = 1;
};

/// A list of products by number: what is listed changes rarely, what is said about each product may change any time.
struct Listing {
  std::vector<Id> ids;
  std::int64_t total = 0;  // on all pages
};

struct Page {
  std::vector<Product> products;
  std::int64_t total = 0;
};

struct Home {
  std::vector<Category> categories;
  std::vector<Product> bestsellers;
};

struct CartLine {
  Product product;
  std::int64_t quantity = 0;
};

struct Cart {
  std::vector<CartLine> lines;
  std::int64_t cents = 0;
};

/// A cart as the database keeps it: without prices.
struct CartRow {
  Id product = 0;
  std::int64_t quantity = 0;
};

inline constexpr int kPageSize = 20;

}  // namespace shop
