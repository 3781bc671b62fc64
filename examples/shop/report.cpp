#include "report.hpp"

#include <unistd.h>

#include <cstdio>
#include <unordered_set>
#include <utility>

namespace shop {

namespace {

std::string printed(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string per_cent(const std::optional<double>& part) { return part ? printed("%.1f %%", *part) : "-"; }

double seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

Progress::Progress(std::string what, std::size_t total)
    : what_(std::move(what)), total_(total), terminal_(isatty(STDOUT_FILENO) != 0), last_() {}

Progress::~Progress() {
  if (terminal_) std::fputs("\r\033[K", stdout);
  std::fflush(stdout);
}

void Progress::show(std::size_t done) {
  constexpr int kWidth = 40;
  const auto now = std::chrono::steady_clock::now();
  const bool end = total_ != 0 && done >= total_;
  if (done == shown_) return;
  if (!end && now - last_ < std::chrono::milliseconds(terminal_ ? 50 : 2000)) return;
  if (!terminal_ && last_ == std::chrono::steady_clock::time_point() && !end) {
    last_ = now;  // what is over in a moment is not worth a line
    return;
  }
  last_ = now;
  shown_ = done;
  if (!terminal_) {
    std::printf("%s: %s\n", what_.c_str(), grouped(done).c_str());
  } else if (total_ == 0) {
    std::printf("\r%s: %s", what_.c_str(), grouped(done).c_str());
  } else {
    const int filled = static_cast<int>(kWidth * done / total_);
    std::printf("\r%s [%s%s] %3d %%", what_.c_str(), std::string(static_cast<std::size_t>(filled), '#').c_str(),
                std::string(static_cast<std::size_t>(kWidth - filled), '.').c_str(),
                static_cast<int>(100 * done / total_));
  }
  std::fflush(stdout);
}

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string money(std::int64_t cents) {
  return grouped(static_cast<std::uint64_t>(cents / 100)) + printed(".%02d", static_cast<int>(cents % 100));
}

std::string length(std::chrono::nanoseconds time) {
  const double us = std::chrono::duration<double, std::micro>(time).count();
  if (us < 1000) return printed("%.1f us", us);
  if (us < 1e6) return printed("%.2f ms", us / 1e3);
  return printed("%.2f s", us / 1e6);
}

void heading(std::string_view text) {
  std::printf("\n%.*s\n%s\n", static_cast<int>(text.size()), text.data(), std::string(text.size(), '-').c_str());
}

void say(std::string_view text) {
  std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  std::fflush(stdout);
}

void show_catalogue(const Catalogue& catalogue, std::size_t categories) {
  std::unordered_set<std::string_view> brands;
  for (const Product& product : catalogue.products) brands.insert(product.brand);
  say(grouped(catalogue.products.size()) + " products in " + grouped(categories) + " categories by " +
      grouped(brands.size()) + " brands, from " + catalogue.source + ".\nBestsellers:");
  for (const Product& product : catalogue.products) {
    if (product.id > 3) break;
    std::printf("  %-14s %10s   needed by %s others; %s\n", product.name.c_str(), money(product.cents).c_str(),
                grouped(static_cast<std::uint64_t>(product.popularity)).c_str(), product.description.c_str());
  }
}

void show_traffic(const Traffic& traffic) {
  static constexpr const char* kNames[] = {"product",  "category page", "search", "recommendations",
                                           "homepage", "add to cart",   "cart"};
  std::string shares;
  for (std::size_t i = 0; i < std::size(kShares); ++i)
    shares.append(i == 0 ? "" : ", ").append(kNames[i]).append(printed(" %d %%", kShares[i]));
  heading("The customers");
  say(grouped(traffic.size) + " requests by " + std::to_string(traffic.lanes.size()) +
      " threads, in each run the same; popular products are asked for most (Zipf):\n  " + shares + '.');
}

void table_head() {
  std::printf("%-22s %9s %12s %10s %10s %9s %9s %10s\n", "", "time", "requests/s", "p50", "p99", "near hits",
              "far hits", "SQL");
}

void table_row(const Row& row) {
  const double rate = static_cast<double>(row.run.times.size()) / seconds(row.run.took);
  std::printf("%-22s %9s %12s %10s %10s %9s %9s %10s\n", row.name.c_str(), length(row.run.took).c_str(),
              grouped(static_cast<std::uint64_t>(rate)).c_str(), length(row.run.at(0.5)).c_str(),
              length(row.run.at(0.99)).c_str(), per_cent(row.near_hits).c_str(), per_cent(row.far_hits).c_str(),
              grouped(row.statements).c_str());
  std::fflush(stdout);
}

void show_savings(const Row& without, const Row& row) {
  say("  \"" + row.name + "\" saved " + length(without.run.took - row.run.took) + " of " + length(without.run.took) +
      " and " + grouped(without.statements - row.statements) + " of " + grouped(without.statements) +
      printed(" SQL statements: %.0f times as fast.", seconds(without.run.took) / seconds(row.run.took)));
}

void show_price_change(const Product& product, const std::vector<Sight>& sights) {
  std::printf("%-22s %12s %12s\n", product.name.c_str(), "before", "after");
  for (const Sight& sight : sights)
    std::printf("  %-20s %12s %12s\n", sight.place.c_str(), money(sight.before).c_str(), money(sight.after).c_str());
}

}  // namespace shop
