#include "service.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace shop {

namespace cache = flux::cache;
using namespace std::chrono_literals;

namespace {

constexpr int kListed = 12;
constexpr std::string_view kProduct = "product_";

std::string product_key(Id id) { return std::string(kProduct) + std::to_string(id); }

Id id_in(std::string_view key) {
  Id id = 0;
  key.remove_prefix(kProduct.size());
  std::from_chars(key.data(), key.data() + key.size(), id);
  return id;
}

std::string category_tag(std::string_view category) { return "category_" + std::string(category); }
std::string cart_key(std::int64_t session) { return "cart_" + std::to_string(session); }

std::string page_key(const Filter& filter) {
  return "page_" + std::to_string(static_cast<int>(filter.order)) + "_" + std::to_string(filter.page) + "_" +
         filter.category + "_" + filter.brand;
}

/// The same for a near cache, which keeps nothing long.
cache::Options in_near(cache::Options options) {
  options.ttl = std::min(options.lifetime()->length(), Service::kNearLife);
  options.jitter = Service::kNearLife / 6;
  options.days = options.hours = options.minutes = options.seconds = options.milliseconds = cache::Amount();
  return options;
}

}  // namespace

Service::Service(Database& database, cache::Repository near, std::optional<cache::Repository> far)
    : database_(database), near_(std::move(near)), far_(std::move(far)) {}

template <class Load>
auto Service::through(std::string_view key, const cache::Options& options, Load load) {
  if (!far_) return near_.remember(key, options, load);
  return near_.remember(key, in_near(options), [&] { return far_->remember(key, options, load); });
}

cache::Ttl Service::life_of_product(Id id) {
  const auto views = near_.try_increment("views_" + std::to_string(id), 1, {.hours = 24}).value_or(1);
  return views >= 100 ? 6h : views >= 10 ? 1h : 10min;
}

std::optional<Product> Service::product(Id id) {
  return through(product_key(id), {.ttl = life_of_product(id), .jitter = 1min, .negative = 1min},
                 [&] { return database_.product(id); });
}

std::vector<std::pair<std::string, Product>> Service::load_products(const std::vector<std::string>& keys) {
  std::vector<Id> ids;
  for (const std::string& key : keys) ids.push_back(id_in(key));
  std::vector<std::pair<std::string, Product>> found;
  for (Product& product : database_.products(ids)) found.emplace_back(product_key(product.id), std::move(product));
  return found;
}

std::vector<Product> Service::products(const std::vector<Id>& ids) {
  const cache::Options options{.minutes = 10, .jitter = 1min};
  std::vector<std::string> keys;
  for (const Id id : ids) keys.push_back(product_key(id));

  const auto from_database = [&](const std::vector<std::string>& missing) { return load_products(missing); };
  const auto from_far = [&](const std::vector<std::string>& missing) {
    std::vector<std::pair<std::string, Product>> found;
    for (const auto& [key, product] : far_->remember_many<Product>(missing, options, from_database))
      if (product) found.emplace_back(key, *product);
    return found;
  };
  const auto found = far_ ? near_.remember_many<Product>(keys, in_near(options), from_far)
                          : near_.remember_many<Product>(keys, options, from_database);

  std::vector<Product> products;
  for (const auto& [key, product] : found)
    if (product) products.push_back(*product);
  return products;
}

Page Service::category(const Filter& filter) {
  const Listing listing = through(page_key(filter), {.minutes = 10, .tags = {category_tag(filter.category)}},
                                  [&] { return database_.listing(filter); });
  return {products(listing.ids), listing.total};
}

std::vector<Product> Service::search(std::string_view prefix) {
  return products(
      through("search_" + std::string(prefix), {.minutes = 5}, [&] { return database_.search(prefix, kListed); }));
}

std::vector<Product> Service::recommendations(Id id) {
  return products(through("related_" + std::to_string(id), {.hours = 1, .jitter = 10min}, [&] {
    const auto of = product(id);
    return of ? database_.related(*of, kListed) : std::vector<Id>();
  }));
}

Home Service::home() {
  return {through("categories", {.minutes = 10}, [&] { return database_.categories(); }),
          products(through("bestsellers", {.minutes = 10}, [&] { return database_.bestsellers(kListed); }))};
}

Cart Service::cart(std::int64_t session) {
  const auto rows = shared().remember(cart_key(session), 2h, [&] { return database_.cart(session); });
  std::vector<Id> ids;
  for (const CartRow& row : rows) ids.push_back(row.product);
  Cart cart;
  for (Product& product : products(ids)) {
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const CartRow& row) { return row.product == product.id; });
    cart.cents += product.cents * row->quantity;
    cart.lines.push_back({std::move(product), row->quantity});
  }
  return cart;
}

void Service::add_to_cart(std::int64_t session, Id product, std::int64_t quantity) {
  database_.add_to_cart(session, product, quantity);
  shared().forget(cart_key(session));
}

bool Service::set_price(Id id, std::int64_t cents) {
  const auto category = database_.set_price(id, cents);
  if (!category) return false;
  const auto drop_from = [&](const cache::Repository& caches) {
    caches.forget(product_key(id));
    caches.tags({category_tag(*category)}).flush();
  };
  // The far cache first: what the near one loads from here on is then already new.
  if (far_) drop_from(*far_);
  drop_from(near_);
  return true;
}

Warmed Service::warm(std::size_t count) {
  constexpr std::size_t kBatch = 500;
  Warmed warmed;
  const Home front = home();
  ++warmed.pages;
  for (const Category& one : front.categories) {
    category({.category = one.name});
    ++warmed.pages;
  }
  for (std::size_t first = 1; first <= count; first += kBatch) {
    std::vector<Id> ids;
    for (std::size_t id = first; id < first + kBatch && id <= count; ++id) ids.push_back(static_cast<Id>(id));
    warmed.products += products(ids).size();
  }
  return warmed;
}

}  // namespace shop
