// examples/shop/traffic.hpp - customers: the same requests in the same order, as often as needed, and how they fared.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model.hpp"
#include "service.hpp"

namespace shop {

enum class Kind { product, category, search, recommendations, home, add_to_cart, cart };

/// Share of each kind in a hundred requests, in the order of `Kind`.
inline constexpr int kShares[] = {50, 16, 10, 10, 6, 4, 4};

struct Request {
  Kind kind = Kind::product;
  Id product = 0;
  Filter filter{};
  std::string prefix{};
  std::int64_t session = 0;
};

/// Requests of each customer stay in their lane, and so in their order.
struct Traffic {
  std::vector<std::vector<Request>> lanes;
  std::size_t size = 0;
};

/// The n-th most popular product is asked for about 1/n as often as the first (Zipf). Equal seeds, equal traffic.
Traffic make_traffic(const std::vector<Product>& catalogue, std::size_t size, std::size_t lanes, std::uint64_t seed);

/// How a run went.
struct Run {
  std::vector<std::chrono::nanoseconds> times;  // of each request, sorted
  std::chrono::nanoseconds took{0};             // from the first to the last
  std::uint64_t answers = 0;                    // a digest of all that was answered: equal runs, equal digests

  std::chrono::nanoseconds at(double part) const {
    return times.empty() ? std::chrono::nanoseconds(0)
                         : times[static_cast<std::size_t>(part * double(times.size() - 1))];
  }
};

/// One thread for each lane.
Run run(Service& service, const Traffic& traffic);

}  // namespace shop
