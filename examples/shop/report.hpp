// examples/shop/report.hpp - everything that the shop's program prints.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalogue.hpp"
#include "traffic.hpp"

namespace shop {

/// A bar on a terminal, and a line now and then elsewhere.
class Progress {
 public:
  /// `total` 0: not known.
  Progress(std::string what, std::size_t total);
  ~Progress();
  void show(std::size_t done);

 private:
  const std::string what_;
  const std::size_t total_;
  const bool terminal_;
  std::chrono::steady_clock::time_point last_;
  std::size_t shown_ = 0;
};

/// A row of a table: a run, and what its caches and its database had to do.
struct Row {
  std::string name;
  Run run{};
  std::optional<double> near_hits{};  // per cent
  std::optional<double> far_hits{};
  std::uint64_t statements = 0;
};

/// Where a price is to be seen, before and after it was changed.
struct Sight {
  std::string place;
  std::int64_t before = 0;
  std::int64_t after = 0;
};

std::string grouped(std::uint64_t number);     // 63,421
std::string money(std::int64_t cents);         // 12.34
std::string length(std::chrono::nanoseconds);  // 12.3 us

void heading(std::string_view text);
void say(std::string_view text);
void show_catalogue(const Catalogue& catalogue, std::size_t categories);
void show_traffic(const Traffic& traffic);
void table_head();
void table_row(const Row& row);
/// What `row` saved against a run without any cache.
void show_savings(const Row& without, const Row& row);
void show_price_change(const Product& product, const std::vector<Sight>& sights);

}  // namespace shop
