// tests/bench/hit_ratio/models.hpp - the policies that the engine is measured against, as plain models.
//
// Each answers `bool hit(key)` and takes the key in on a miss. Keys are dense numbers. Belady's optimum looks into the
// future and is the floor that no policy can pass.
#pragma once
#include <algorithm>
#include <cstdint>
#include <list>
#include <queue>
#include <unordered_map>
#include <vector>

namespace bench {

class Lru {
 public:
  Lru(std::uint32_t capacity, std::uint32_t keys) : capacity_(capacity), at_(keys, order_.end()) {}
  bool hit(std::uint32_t key) {
    if (at_[key] != order_.end()) {
      order_.splice(order_.begin(), order_, at_[key]);
      return true;
    }
    if (order_.size() >= capacity_) {
      at_[order_.back()] = order_.end();
      order_.pop_back();
    }
    order_.push_front(key);
    at_[key] = order_.begin();
    return false;
  }

 private:
  std::uint32_t capacity_;
  std::list<std::uint32_t> order_;
  std::vector<std::list<std::uint32_t>::iterator> at_;
};

class Fifo {
 public:
  Fifo(std::uint32_t capacity, std::uint32_t keys) : capacity_(capacity), in_(keys, false) {}
  bool hit(std::uint32_t key) {
    if (in_[key]) return true;
    if (order_.size() >= capacity_) {
      in_[order_.front()] = false;
      order_.pop();
    }
    order_.push(key);
    in_[key] = true;
    return false;
  }

 private:
  std::uint32_t capacity_;
  std::queue<std::uint32_t> order_;
  std::vector<bool> in_;
};

/// J. Yang et al., SOSP 2023: a small queue of a tenth, a main queue with two-bit counters, ghosts as many as main.
class S3Fifo {
 public:
  S3Fifo(std::uint32_t capacity, std::uint32_t keys)
      : capacity_(capacity), small_share_(std::max<std::uint32_t>(1, capacity / 10)), state_(keys) {}
  bool hit(std::uint32_t key) {
    State& state = state_[key];
    if (state.where != kNowhere) {
      if (state.count < 3) ++state.count;
      return true;
    }
    const bool ghost = state.ghost_until > evictions_;
    while (small_.size() + main_.size() >= capacity_) evict();
    state.count = 0;
    state.ghost_until = 0;
    state.where = ghost ? kMain : kSmall;
    (ghost ? main_ : small_).push(key);
    return false;
  }

 private:
  static constexpr std::uint8_t kNowhere = 0, kSmall = 1, kMain = 2;
  struct State {
    std::uint64_t ghost_until = 0;
    std::uint8_t where = kNowhere, count = 0;
  };
  void evict() {
    if (small_.size() >= small_share_ || main_.empty()) {
      while (!small_.empty()) {
        const std::uint32_t key = small_.front();
        small_.pop();
        State& state = state_[key];
        if (state.count > 0) {
          state.where = kMain;
          state.count = 0;
          main_.push(key);
          if (main_.size() > capacity_ - small_share_) return evict_main();
        } else {
          state.where = kNowhere;
          state.ghost_until = ++evictions_ + capacity_ - small_share_;
          return;
        }
      }
    }
    evict_main();
  }
  void evict_main() {
    while (!main_.empty()) {
      const std::uint32_t key = main_.front();
      main_.pop();
      State& state = state_[key];
      if (state.count > 0) {
        --state.count;
        main_.push(key);
      } else {
        state.where = kNowhere;
        return;
      }
    }
  }
  std::uint32_t capacity_, small_share_;
  std::uint64_t evictions_ = 0;
  std::queue<std::uint32_t> small_, main_;
  std::vector<State> state_;
};

/// G. Einziger et al., ToS 2017: an LRU window of a hundredth, a segmented LRU, admission by frequency (counted exactly
/// here, halved every ten capacities).
class WTinyLfu {
 public:
  WTinyLfu(std::uint32_t capacity, std::uint32_t keys)
      : window_share_(std::max<std::uint32_t>(1, capacity / 100)),
        main_share_(capacity - std::min<std::size_t>(capacity - 1, window_share_)),
        period_(std::uint64_t{10} * capacity),
        state_(keys),
        frequency_(keys, 0) {}
  bool hit(std::uint32_t key) {
    if (frequency_[key] < 15) ++frequency_[key];
    if (++added_ >= period_) {
      for (auto& frequency : frequency_) frequency /= 2;
      added_ /= 2;
    }
    State& state = state_[key];
    switch (state.where) {
      case kWindow: window_.splice(window_.begin(), window_, state.at); return true;
      case kProtected: protected_.splice(protected_.begin(), protected_, state.at); return true;
      case kProbation:
        protected_.splice(protected_.begin(), probation_, state.at);
        state.where = kProtected;
        if (protected_.size() > main_share_ * 4 / 5) {
          state_[protected_.back()].where = kProbation;
          probation_.splice(probation_.begin(), protected_, std::prev(protected_.end()));
        }
        return true;
      default: break;
    }
    window_.push_front(key);
    state = {kWindow, window_.begin()};
    if (window_.size() <= window_share_) return false;
    const std::uint32_t candidate = window_.back();
    if (probation_.size() + protected_.size() < main_share_) {
      state_[candidate].where = kProbation;
      probation_.splice(probation_.begin(), window_, std::prev(window_.end()));
      return false;
    }
    auto& from = probation_.empty() ? protected_ : probation_;
    const std::uint32_t victim = from.back();
    if (frequency_[candidate] > frequency_[victim]) {
      state_[victim].where = kNowhere;
      from.pop_back();
      state_[candidate].where = kProbation;
      probation_.splice(probation_.begin(), window_, std::prev(window_.end()));
    } else {
      state_[candidate].where = kNowhere;
      window_.pop_back();
    }
    return false;
  }

 private:
  enum Where : std::uint8_t { kNowhere, kWindow, kProbation, kProtected };
  struct State {
    Where where = kNowhere;
    std::list<std::uint32_t>::iterator at{};
  };
  std::size_t window_share_, main_share_;
  std::uint64_t period_, added_ = 0;
  std::list<std::uint32_t> window_, probation_, protected_;
  std::vector<State> state_;
  std::vector<std::uint8_t> frequency_;
};

/// L. Belady, 1966: gives up what is needed again last. Answers the misses of a whole trace.
inline std::uint64_t optimum_misses(const std::vector<std::uint32_t>& requests, std::uint32_t keys,
                                    std::uint32_t capacity) {
  constexpr std::uint32_t kNever = 0xFFFFFFFF;
  std::vector<std::uint32_t> next(requests.size(), kNever), last(keys, kNever);
  for (std::size_t at = requests.size(); at-- > 0;) {
    next[at] = last[requests[at]];
    last[requests[at]] = static_cast<std::uint32_t>(at);
  }
  std::vector<std::uint32_t> due(keys, 0);
  std::vector<bool> in(keys, false);
  std::priority_queue<std::pair<std::uint32_t, std::uint32_t>> queue;  // (needed again, key), stale ones are skipped
  std::uint64_t misses = 0;
  std::uint32_t held = 0;
  for (std::size_t at = 0; at < requests.size(); ++at) {
    const std::uint32_t key = requests[at];
    if (!in[key]) {
      ++misses;
      if (held == capacity) {
        while (!in[queue.top().second] || due[queue.top().second] != queue.top().first) queue.pop();
        in[queue.top().second] = false;
        queue.pop();
        --held;
      }
      in[key] = true;
      ++held;
    }
    due[key] = next[at];
    queue.emplace(next[at], key);
  }
  return misses;
}

}  // namespace bench
