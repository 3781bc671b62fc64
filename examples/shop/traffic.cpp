#include "traffic.hpp"

#include <algorithm>
#include <exception>
#include <random>
#include <string_view>
#include <thread>

namespace shop {

namespace {

using Clock = std::chrono::steady_clock;

/// Draws ranks from 0: the n-th as often as 1/n.
class Zipf {
 public:
  explicit Zipf(std::size_t count) {
    double sum = 0;
    for (std::size_t rank = 1; rank <= count; ++rank) sums_.push_back(sum += 1.0 / static_cast<double>(rank));
  }
  std::size_t draw(std::mt19937_64& random) const {
    const double at = static_cast<double>(random() >> 11) * 0x1p-53 * sums_.back();
    return static_cast<std::size_t>(std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

/// A digest of answers (FNV-1a).
class Digest {
 public:
  void add(std::string_view text) {
    for (const char c : text) step(static_cast<unsigned char>(c));
    step(0);
  }
  void add(std::int64_t number) {
    for (int shift = 0; shift < 64; shift += 8) step(static_cast<std::uint64_t>(number) >> shift & 0xff);
  }
  void add(const Product& product) {
    add(product.id);
    add(product.name);
    add(product.category);
    add(product.brand);
    add(product.description);
    add(product.cents);
    add(product.popularity);
  }
  void add(const std::vector<Product>& products) {
    for (const Product& product : products) add(product);
  }
  std::uint64_t value() const { return value_; }

 private:
  void step(std::uint64_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }
  std::uint64_t value_ = 0xcbf29ce484222325;
};

/// Serves a request and answers how long it took; the digest is taken outside of that time.
template <class Ask, class Look>
std::chrono::nanoseconds timed(Ask&& ask, Look&& look) {
  const auto begun = Clock::now();
  const auto answer = ask();
  const auto took = Clock::now() - begun;
  look(answer);
  return took;
}

std::chrono::nanoseconds serve(Service& service, const Request& request, Digest& digest) {
  const auto look_at_products = [&](const std::vector<Product>& products) { digest.add(products); };
  switch (request.kind) {
    case Kind::product:
      return timed([&] { return service.product(request.product); },
                   [&](const std::optional<Product>& product) { product ? digest.add(*product) : digest.add(-1); });
    case Kind::category:
      return timed([&] { return service.category(request.filter); },
                   [&](const Page& page) { digest.add(page.total), digest.add(page.products); });
    case Kind::search: return timed([&] { return service.search(request.prefix); }, look_at_products);
    case Kind::recommendations:
      return timed([&] { return service.recommendations(request.product); }, look_at_products);
    case Kind::home:
      return timed([&] { return service.home(); },
                   [&](const Home& home) {
                     for (const Category& one : home.categories) digest.add(one.name), digest.add(one.products);
                     digest.add(home.bestsellers);
                   });
    case Kind::add_to_cart:
      return timed(
          [&] {
            service.add_to_cart(request.session, request.product, 1);
            return 0;
          },
          [](int) {});
    case Kind::cart: break;
  }
  return timed([&] { return service.cart(request.session); },
               [&](const Cart& cart) {
                 for (const CartLine& line : cart.lines) digest.add(line.product), digest.add(line.quantity);
                 digest.add(cart.cents);
               });
}

Kind kind_of(std::uint64_t percent) {
  std::size_t kind = 0;
  for (std::uint64_t sum = 0; kind + 1 < std::size(kShares); ++kind)
    if (percent < (sum += static_cast<std::uint64_t>(kShares[kind]))) break;
  return static_cast<Kind>(kind);
}

}  // namespace

Traffic make_traffic(const std::vector<Product>& catalogue, std::size_t size, std::size_t lanes, std::uint64_t seed) {
  constexpr std::uint64_t kCustomers = 500;
  std::mt19937_64 random(seed);
  const Zipf popular(catalogue.size());
  Traffic traffic{std::vector<std::vector<Request>>(lanes), size};
  for (std::size_t i = 0; i < size; ++i) {
    const Product& product = catalogue[popular.draw(random)];
    const std::uint64_t dice = random();
    Request request{.kind = kind_of(dice % 100), .product = product.id};
    request.session = static_cast<std::int64_t>(dice / 100 % kCustomers);
    if (request.kind == Kind::category) {
      request.filter.category = product.category;
      if (dice / 1'000'000 % 5 == 0) request.filter.brand = product.brand;
      request.filter.order = static_cast<Order>(dice / 10'000'000 % 3);
      request.filter.page = 1 + static_cast<int>(popular.draw(random) % 5);
    }
    if (request.kind == Kind::search) request.prefix = product.name.substr(0, 3 + dice / 1'000'000 % 3);
    traffic.lanes[static_cast<std::size_t>(request.session) % lanes].push_back(std::move(request));
  }
  return traffic;
}

Run run(Service& service, const Traffic& traffic) {
  struct Lane {
    std::vector<std::chrono::nanoseconds> times;
    Digest digest;
    std::exception_ptr failure;
  };
  std::vector<Lane> lanes(traffic.lanes.size());
  const auto begun = Clock::now();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < lanes.size(); ++i)
    threads.emplace_back([&lane = lanes[i], &requests = traffic.lanes[i], &service] {
      try {
        lane.times.reserve(requests.size());
        for (const Request& request : requests) lane.times.push_back(serve(service, request, lane.digest));
      } catch (...) {
        lane.failure = std::current_exception();
      }
    });
  for (std::thread& thread : threads) thread.join();

  Run run;
  run.took = Clock::now() - begun;
  for (Lane& lane : lanes) {
    if (lane.failure) std::rethrow_exception(lane.failure);
    run.times.insert(run.times.end(), lane.times.begin(), lane.times.end());
    run.answers = run.answers * 31 + lane.digest.value();
  }
  std::sort(run.times.begin(), run.times.end());
  return run;
}

}  // namespace shop
