// examples/shop/main.cpp - the same customers at the same shop: without a cache, with a cold one, with a warm one.
#include <flux/cache/stores/null.hpp>

#include <atomic>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "catalogue.hpp"
#include "database.hpp"
#include "options.hpp"
#include "report.hpp"
#include "service.hpp"
#include "traffic.hpp"
#if SHOP_HAS_REDIS
#include "two_processes.hpp"
#endif

namespace {

namespace cache = flux::cache;
namespace fs = std::filesystem;
using namespace shop;

constexpr std::size_t kThreads = 2;
constexpr std::uint64_t kSeed = 2029;

/// The caches of one server: memory, and behind it what `far` says.
struct Caches {
  Caches(const std::string& far, const Options& options)
      : manager(configuration(options)), near(manager.store(far == "none" ? "none" : "near")) {
    if (far != "none" && far != "memory") this->far = manager.store(far);
  }

  static cache::Config configuration(const Options& options) {
    cache::Config config{
        .default_store = "near",
        .stores = {{"near", cache::MemoryConfig{.max_size = 100'000}},
                   {"none", cache::NullConfig{}},
                   {"file", cache::FileConfig{.path = options.data + "/cache"}},
                   {"database", cache::DatabaseConfig{}}},
        .connections = {{"default", cache::SqliteConnection{.database = options.data + "/cache.sqlite"}}},
    };
#if SHOP_HAS_REDIS
    if (has_server(options, "redis")) {
      config.stores["redis"] = cache::RedisConfig{.connection = "redis", .prefix = "shop:"};
      config.connections["redis"] =
          cache::RedisConnection{.host = host_of(options.redis), .port = port_of(options.redis)};
    }
#endif
#if SHOP_HAS_MEMCACHED
    if (has_server(options, "memcached"))
      config.stores["memcached"] = cache::MemcachedConfig{
          .servers = {{.host = host_of(options.memcached), .port = port_of(options.memcached)}}, .prefix = "shop:"};
#endif
    return config;
  }

  cache::StoreManager manager;
  cache::Repository near;
  std::optional<cache::Repository> far;
};

class Demonstration {
 public:
  Demonstration(Database& database, const Catalogue& catalogue, const Options& options)
      : database_(database),
        catalogue_(catalogue),
        options_(options),
        traffic_(make_traffic(catalogue.products, options.requests, kThreads, kSeed)) {}

  /// False where anything did not hold.
  bool run() {
    show_traffic(traffic_);
    heading("No cache: each request asks the database");
    table_head();
    Caches none("none", options_);
    without_ = measured("every time", none);
    for (const char* store : {"memory", "file", "database"})
      if (options_.store == "all" || options_.store == store) show(store);
    for (const char* store : {"redis", "memcached"})
      if (has_server(options_, store) && (options_.store == "all" || options_.store == store)) show(store);
    if (held_) say("\nEvery run gave the same answers, and no old price was seen after a change.");
    return held_;
  }

 private:
  Row measured(const std::string& name, Caches& caches) {
    database_.clear_carts();
    caches.near.reset_stats();
    if (caches.far) caches.far->reset_stats();
    Service service(database_, caches.near, caches.far);
    const std::uint64_t before = database_.statements();
    Row row{.name = name, .run = shop::run(service, traffic_)};
    row.statements = database_.statements() - before;
    if (caches.near.name() != "none") row.near_hits = caches.near.stats().hit_ratio;
    if (caches.far) row.far_hits = caches.far->stats().hit_ratio;
    table_row(row);
    if (!without_.run.times.empty() && row.run.answers != without_.run.answers)
      fail("the answers differ from those without a cache");
    return row;
  }

  void show(const std::string& store) {
    heading(store == "memory" ? "Memory alone" : "Memory, then " + store);
    table_head();
    Caches caches(store, options_);
    const auto empty = [&] {
      caches.near.flush();
      if (caches.far) caches.far->flush();
    };
    empty();
    forget_carts(caches);
    measured("cold", caches);
    forget_carts(caches);
    const Row warm = measured("warm", caches);
    if (caches.far) {
      Caches anew(store, options_);
      forget_carts(anew);
      measured("after a restart", anew);
    }
    empty();
    const Warmed warmed = Service(database_, caches.near, caches.far).warm(catalogue_.products.size() / 20);
    measured("after warming up", caches);
    show_savings(without_, warm);
    say("  Warming up had brought in " + grouped(warmed.pages) + " pages and the " + grouped(warmed.products) +
        " most popular products.");
    if (warm.statements >= without_.statements) fail("the warm cache saved no statements");
    change_price(caches);
  }

  /// Each run begins with empty carts, and so must the caches of them.
  static void forget_carts(Caches& caches) {
    std::vector<std::string> keys;
    for (int session = 0; session < 500; ++session) keys.push_back("cart_" + std::to_string(session));
    (caches.far ? *caches.far : caches.near).forget_many(keys);
  }

  void change_price(Caches& caches) {
    Service service(database_, caches.near, caches.far);
    const Product product = service.product(1).value();
    const std::int64_t cents = product.cents + product.cents / 4 + 1;
    constexpr std::int64_t kSession = 7;
    service.add_to_cart(kSession, product.id, 1);

    const auto price_in = [&](const std::vector<Product>& products) -> std::int64_t {
      for (const Product& one : products)
        if (one.id == product.id) return one.cents;
      return 0;
    };
    const auto look = [&]() -> std::vector<std::pair<const char*, std::int64_t>> {
      std::int64_t in_cart = 0;
      for (const CartLine& line : service.cart(kSession).lines)
        if (line.product.id == product.id) in_cart = line.product.cents;
      return {{"product", service.product(product.id)->cents},
              {"category page", price_in(service.category({.category = product.category}).products)},
              {"search", price_in(service.search(product.name))},
              {"homepage", price_in(service.home().bestsellers)},
              {"cart", in_cart}};
    };

    const auto before = look();
    std::atomic<bool> changed = false, done = false;
    std::atomic<std::uint64_t> asked = 0, late = 0;
    std::vector<std::thread> customers;
    for (std::size_t i = 0; i < kThreads; ++i)
      customers.emplace_back([&] {
        while (!done) {
          const bool after = changed;
          const std::int64_t seen = service.product(product.id)->cents;
          if (after && seen != cents) ++late;
          ++asked;
        }
      });
    while (asked < 1000) std::this_thread::yield();
    service.set_price(product.id, cents);
    changed = true;
    const auto after = look();
    for (const std::uint64_t enough = asked + 1000; asked < enough;) std::this_thread::yield();
    done = true;
    for (std::thread& customer : customers) customer.join();

    std::vector<Sight> sights;
    for (std::size_t i = 0; i < before.size(); ++i) {
      sights.push_back({before[i].first, before[i].second, after[i].second});
      if (before[i].second != product.cents || after[i].second != cents) fail("a price is not what it should be");
    }
    say("\n  The price changes, while " + std::to_string(kThreads) + " threads keep asking:");
    show_price_change(product, sights);
    say("  " + grouped(asked) + " times they asked; " + grouped(late) + " times they saw the old price afterwards.");
    if (late != 0) fail("an old price was seen after the change");
    service.set_price(product.id, product.cents);
  }

  void fail(const char* what) {
    say(std::string("  DOES NOT HOLD: ") + what);
    held_ = false;
  }

  Database& database_;
  const Catalogue& catalogue_;
  const Options& options_;
  const Traffic traffic_;
  Row without_;
  bool held_ = true;
};

int run(const Options& options) {
  std::error_code error;
  fs::create_directories(options.data, error);
  if (error) throw std::runtime_error("cannot make the directory " + options.data + ": " + error.message());

  const Catalogue catalogue = [&] {
    Progress progress("Reading the package index", 0);
    return read_catalogue(options.products, [&](std::size_t read) { progress.show(read); });
  }();
  Database database(options.data + "/shop.sqlite");
  {
    Progress progress("Importing into SQLite", catalogue.products.size());
    database.import(catalogue.products, [&](std::size_t done) { progress.show(done); });
  }
  heading("The shop");
  show_catalogue(catalogue, database.categories().size());
  if (!Demonstration(database, catalogue, options).run()) return 1;
#if SHOP_HAS_REDIS
  if (!options.redis.empty() && (options.store == "all" || options.store == "redis")) {
    heading("Two processes: memory in each, redis behind");
    if (!show_two_processes(database, options)) {
      say("  DOES NOT HOLD: a price changed in another process was not seen, or the old one was seen again");
      return 1;
    }
  }
#endif
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = read_options(argc, argv);
    if (options.help) {
      std::fputs(kHelp, stdout);
      return 0;
    }
#if SHOP_HAS_REDIS
    if (options.office && !options.redis.empty()) return run_office(options);
#endif
    return run(options);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "shop: %s; see shop --help\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "shop: %s\n", error.what());
    return 1;
  }
}
