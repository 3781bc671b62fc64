// Takes turns: every contestant does a batch, then the next one, round after round, so that what the machine does
// besides hits all of them alike. Of each the median batch counts.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace flux::bench {

class Contest {
 public:
  using Batch = std::function<void(int round)>;

  Contest(std::string title, int batch_size) : title_(std::move(title)), batch_size_(batch_size) {}

  void enter(std::string name, Batch batch) { rows_.push_back({std::move(name), std::move(batch), {}}); }

  /// Prints a line for each: microseconds an operation, and how many times faster than the first.
  void run(int rounds) {
    using Clock = std::chrono::steady_clock;
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t turn = 0; turn < rows_.size(); ++turn) {
        Row& row = rows_[(turn + static_cast<std::size_t>(round)) % rows_.size()];
        const auto start = Clock::now();
        row.batch(round);
        const std::chrono::duration<double, std::micro> took = Clock::now() - start;
        row.times.push_back(took.count() / batch_size_);
      }
    }
    std::printf("%s\n", title_.c_str());
    for (Row& row : rows_) std::nth_element(row.times.begin(), row.times.begin() + rounds / 2, row.times.end());
    const auto middle = static_cast<std::size_t>(rounds / 2);
    for (const Row& row : rows_)
      std::printf("  %-34s %9.2f us  %6.2f x\n", row.name.c_str(), row.times[middle],
                  rows_.front().times[middle] / row.times[middle]);
  }

 private:
  struct Row {
    std::string name;
    Batch batch;
    std::vector<double> times;
  };

  std::string title_;
  int batch_size_;
  std::vector<Row> rows_;
};

}  // namespace flux::bench
