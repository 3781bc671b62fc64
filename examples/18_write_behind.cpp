// examples/18_write_behind.cpp - the cache at once, the database in batches.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <span>
#include <string>
#include <vector>

using flux::Cache;
namespace cache = flux::cache;
using namespace std::chrono_literals;

struct Score {
  std::string player;
  int points = 0;
};

int main() {
  std::vector<Score> table;  // the database
  // [write-behind]
  using Scores = cache::WriteBehind<Score>;
  Scores scores({.max_batch_size = 100, .flush_interval = 1s}, [&](std::span<const Scores::Write> batch) {
    std::cout << "one transaction for " << batch.size() << " writes\n";
    for (const auto& write : batch) table.push_back(write.value);
  });
  for (int i = 0; i < 250; ++i) scores.put("score_" + std::to_string(i), Score{"Ada", i}, 1h);
  const auto seen = Cache::get<Score>("score_249");  // in the cache at once
  scores.flush();                                    // and in the database when this returns
  // [/write-behind]
  return seen && seen->points == 249 && table.size() == 250 && scores.pending() == 0 ? 0 : 1;
}
