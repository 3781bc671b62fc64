// Takes turns: every contestant does a batch, then the next one, round after round, so that what the machine does
// besides hits all of them alike. Of each the batch at the lower quartile counts, by the clock on the wall and by the
// time of the processor; on a busy machine the second is the steadier one, but it leaves out waiting for the disk.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace flux::bench {

class Contest {
 public:
  using Batch = std::function<void(int round)>;

  Contest(std::string title, int batch_size) : title_(std::move(title)), batch_size_(batch_size) {}

  void enter(std::string name, Batch batch) { rows_.push_back({std::move(name), std::move(batch), {}, {}}); }

  /// Prints a line for each: microseconds an operation, and how many times faster than the first, for both times.
  void run(int rounds) {
    using Clock = std::chrono::steady_clock;
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t turn = 0; turn < rows_.size(); ++turn) {
        Row& row = rows_[(turn + static_cast<std::size_t>(round)) % rows_.size()];
        const auto start = Clock::now();
        const double began = processor_time();
        row.batch(round);
        row.processor.push_back((processor_time() - began) / batch_size_);
        const std::chrono::duration<double, std::micro> took = Clock::now() - start;
        row.wall.push_back(took.count() / batch_size_);
      }
    }
    std::printf("%-36s %12s %9s %12s %9s\n", title_.c_str(), "wall, us", "x", "processor", "x");
    const double wall = quartile(rows_.front().wall), processor = quartile(rows_.front().processor);
    for (Row& row : rows_) {
      const double mine = quartile(row.wall), cost = quartile(row.processor);
      const int places = mine < 1 ? 4 : 2;  // where nanoseconds are the matter
      std::printf("  %-34s %12.*f %9.2f %12.*f %9.2f\n", row.name.c_str(), places, mine, wall / mine, places, cost,
                  processor / cost);
    }
    std::fflush(stdout);
  }

 private:
  struct Row {
    std::string name;
    Batch batch;
    std::vector<double> wall, processor;
  };

  static double processor_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
  }
  static double quartile(std::vector<double>& times) {
    const auto at = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 4);
    std::nth_element(times.begin(), at, times.end());
    return *at;
  }

  std::string title_;
  int batch_size_;
  std::vector<Row> rows_;
};

}  // namespace flux::bench
