// examples/shop/database.hpp - the shop's own data in SQLite, and how many statements were run on it.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model.hpp"

namespace shop {

class Connection;

/// Thread-safe: each thread works on a connection of its own. Throws std::runtime_error with SQLite's own words.
class Database {
 public:
  /// Opens the file, and makes its tables where they are not there.
  explicit Database(std::string path);
  ~Database();

  /// Replaces all products. Calls `progress` with how many are in.
  void import(std::span<const Product> products, const std::function<void(std::size_t done)>& progress);

  std::optional<Product> product(Id id);
  /// Those of the ids that there are, in no order; one statement.
  std::vector<Product> products(std::span<const Id> ids);
  /// With the number of products in each, the largest first.
  std::vector<Category> categories();
  Listing listing(const Filter& filter);
  /// The most popular ones whose name begins so.
  std::vector<Id> search(std::string_view prefix, int limit);
  /// Others of the same category, the same brand first.
  std::vector<Id> related(const Product& product, int limit);
  std::vector<Id> bestsellers(int limit);

  /// The product's category; nothing where there is no such product.
  std::optional<std::string> set_price(Id id, std::int64_t cents);

  std::vector<CartRow> cart(std::int64_t session);
  void add_to_cart(std::int64_t session, Id product, std::int64_t quantity);
  void clear_carts();

  /// Statements run so far.
  std::uint64_t statements() const noexcept { return statements_; }

 private:
  class Borrowed;

  const std::string path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::atomic<std::uint64_t> statements_ = 0;
};

}  // namespace shop
