// examples/28_through.cpp - the cache in front of a source: aside, read-through, write-through.
#include <flux/cache.hpp>
#include <flux/cache/patterns/read_through.hpp>
#include <flux/cache/patterns/write_through.hpp>

#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <string>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  std::map<std::string, int, std::less<>> table{{"stock_7", 12}};
  int asked = 0;
  const auto select = [&](std::string_view key) -> std::optional<int> {
    ++asked;
    const auto row = table.find(key);
    return row == table.end() ? std::nullopt : std::optional(row->second);
  };

  // [aside]
  const auto aside = Cache::remember("stock_7", 1h, [&] { return select("stock_7").value(); });
  table["stock_7"] = 11;     // the program writes the source itself...
  Cache::forget("stock_7");  // ...and says that the entry is no longer true
  // [/aside]

  // [read-through]
  const cache::ReadThrough<int> stock({.hours = 1, .negative = 1min}, select);
  const auto seven = stock.get("stock_7");  // 11, and from the cache the next time
  const auto eight = stock.get("stock_8");  // none, and for a minute the source is not asked again
  // [/read-through]

  // [write-through]
  const cache::WriteThrough<int> shelf({.hours = 1},
                                       [&](std::string_view key, int left) { table[std::string(key)] = left; });
  shelf.put("stock_7", 10);                // in the source, then in the cache
  const auto left = stock.get("stock_7");  // 10, without asking the source
  // [/write-through]

  std::cout << "asked " << asked << " times\n";
  return aside == 12 && seven == 11 && !eight && left == 10 && asked == 3 ? 0 : 1;
}
