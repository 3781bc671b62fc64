// examples/25_journal.cpp - write-behind that survives its process.
#include <flux/cache.hpp>

#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace cache = flux::cache;
using namespace std::chrono_literals;

struct Order {
  int id = 0;
  double total = 0;
};

int main() {
  std::vector<Order> table;  // the database
  bool is_away = true;
  const auto open = [&] {
    // [journal]
    using Orders = cache::WriteBehind<Order>;
    return Orders({.drain = 50ms, .journal = "orders.journal"}, [&](std::span<const Orders::Write> batch) {
      if (is_away) throw std::runtime_error("the database is away");
      for (const auto& write : batch) table.push_back(write.value);
    });
    // [/journal]
  };
  {
    auto orders = open();
    orders.put("order_1", Order{1, 9.5}), orders.put("order_2", Order{2, 12});
  }  // the database never came back, and the program ends
  is_away = false;
  auto orders = open();  // the next one begins with what was left
  orders.flush();
  std::cout << orders.figures().replayed << " writes from before\n";
  return table.size() == 2 && table[1].id == 2 ? 0 : 1;
}
