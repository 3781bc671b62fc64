// examples/shop/service.hpp - what the shop does for its customers; it prints nothing and knows no web.
//
// The way of a question: memory of this process (near), then files or a database that all processes share (far), then
// SQL. Lists keep the numbers of their products; each product is kept once. So a new price has to reach one entry, and
// the pages that are sorted or cut by price, which carry their category as a tag.
#pragma once
#include <flux/cache.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "database.hpp"
#include "model.hpp"

namespace shop {

/// What `Service::warm` brought in.
struct Warmed {
  std::size_t pages = 0;
  std::size_t products = 0;
};

/// Thread-safe.
class Service {
 public:
  /// Without a far cache the near one is asked alone. The database must outlive the service.
  Service(Database& database, flux::cache::Repository near, std::optional<flux::cache::Repository> far);

  std::optional<Product> product(Id id);
  Page category(const Filter& filter);
  /// The most popular products whose name begins so.
  std::vector<Product> search(std::string_view prefix);
  /// What else might be of interest to who looks at this product.
  std::vector<Product> recommendations(Id id);
  Home home();

  Cart cart(std::int64_t session);
  void add_to_cart(std::int64_t session, Id product, std::int64_t quantity);

  /// Once this has returned, nobody in this process sees the old price. Other processes' near caches may still show it
  /// for `kNearLife`. False where there is no such product.
  bool set_price(Id id, std::int64_t cents);

  /// Brings in what is asked for first: the homepage, the first page of each category, and the most popular products.
  Warmed warm(std::size_t products);

  /// The most that an entry stays in a near cache.
  static constexpr flux::cache::Duration kNearLife = std::chrono::seconds(30);

 private:
  template <class Load>
  auto through(std::string_view key, const flux::cache::Options& options, Load load);
  std::vector<Product> products(const std::vector<Id>& ids);
  std::vector<std::pair<std::string, Product>> load_products(const std::vector<std::string>& keys);
  flux::cache::Ttl life_of_product(Id id);
  const flux::cache::Repository& shared() const { return far_ ? *far_ : near_; }

  Database& database_;
  flux::cache::Repository near_;
  std::optional<flux::cache::Repository> far_;
};

}  // namespace shop
