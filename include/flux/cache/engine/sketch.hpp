// flux/cache/engine/sketch.hpp - two small memories of keys that are not here: how often, and whether lately.
//
// FrequencySketch answers about how often a hash was seen: four 4-bit counters in one cache line, the least counts, all
// are halved after a while (count-min with conservative update; G. Einziger, R. Friedman, B. Manes, "TinyLFU", ACM ToS
// 2017). Ghosts answers whether a hash was evicted among the last so many: a 16-bit mark and a 16-bit date for each.
// Both may err a little; an error costs a miss, never a wrong value.
#pragma once
#include <flux/cache/engine/prefetch.hpp>

#include <cstdint>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace engine {

inline std::uint64_t spread(std::uint32_t hash) noexcept {
  std::uint64_t mixed = hash * 0x9E3779B97F4A7C15ULL;
  mixed ^= mixed >> 32;
  return mixed * 0xD6E8FEB86659FD93ULL;
}

class FrequencySketch {
 public:
  static constexpr std::uint32_t kWords = 8;  ///< 64-bit words of a line

  /// `entries`: how many the cache holds; six bytes for each, forty samples for each between two halvings.
  void resize(std::uint32_t entries) {
    lines_ = entries / 10 + 1;
    words_.assign(std::size_t{lines_} * kWords, 0);
    period_ = 40 * (entries < 16 ? 16 : entries);
    added_ = 0;
  }
  bool empty() const noexcept { return words_.empty(); }
  std::uint64_t bytes() const noexcept { return words_.capacity() * 8; }

  std::uint32_t frequency(std::uint32_t hash) const noexcept {
    const std::uint64_t mixed = spread(hash);
    const auto* const line = reinterpret_cast<const unsigned char*>(&words_[word_of(mixed)]);
    std::uint32_t least = 15;
    for (std::uint32_t row = 0; row < kRows; ++row) {
      const std::uint32_t count = (line[byte_of(mixed, row)] >> shift_of(mixed, row)) & 15u;
      least = count < least ? count : least;
    }
    return least;
  }

  void add(std::uint32_t hash) noexcept {
    const std::uint64_t mixed = spread(hash);
    auto* const line = reinterpret_cast<unsigned char*>(&words_[word_of(mixed)]);
    std::uint32_t counts[kRows], least = 15;
    for (std::uint32_t row = 0; row < kRows; ++row) {
      counts[row] = (line[byte_of(mixed, row)] >> shift_of(mixed, row)) & 15u;
      least = counts[row] < least ? counts[row] : least;
    }
    if (least < 15) {
      for (std::uint32_t row = 0; row < kRows; ++row) {
        unsigned char& two = line[byte_of(mixed, row)];
        two = static_cast<unsigned char>(two + (std::uint32_t{counts[row] == least} << shift_of(mixed, row)));
      }
    }
    if (++added_ >= period_) age();
  }

  void prefetch(std::uint32_t hash) const noexcept { prefetch_read(&words_[word_of(spread(hash))]); }

 private:
  static constexpr std::uint32_t kRows = 4;  ///< of 32 counters, two in each of 16 bytes

  std::size_t word_of(std::uint64_t mixed) const noexcept {
    return static_cast<std::size_t>(((mixed & 0xFFFFFFFF) * lines_) >> 32) * kWords;
  }
  /// Where a row's counter lies: five bits of the hash name the byte and which half of it.
  static std::uint32_t byte_of(std::uint64_t mixed, std::uint32_t row) noexcept {
    return row * 16 + (static_cast<std::uint32_t>(mixed >> (33 + 8 * row)) & 15);
  }
  static std::uint32_t shift_of(std::uint64_t mixed, std::uint32_t row) noexcept {
    return static_cast<std::uint32_t>(mixed >> (30 + 8 * row)) & 4;
  }
  [[gnu::noinline]] void age() noexcept {
    for (std::uint64_t& word : words_) word = (word >> 1) & 0x7777777777777777ULL;
    added_ /= 2;
  }

  std::vector<std::uint64_t> words_;
  std::uint32_t lines_ = 0;
  std::uint32_t added_ = 0;
  std::uint32_t period_ = 0;
};

class Ghosts {
 public:
  static constexpr std::uint32_t kWays = 4;
  static constexpr std::uint32_t kSteps = 256;  ///< how finely a ghost's age is known: its lifetime is so many steps

  /// Remembers the last `entries` evictions; four bytes for each.
  void resize(std::uint32_t entries) {
    const std::uint32_t lines = entries / kWays + 1;
    cells_.assign(std::size_t{lines} * kWays, 0);
    lines_ = lines;
    step_ = entries / kSteps + 1;
    life_ = entries / step_ + 1;
    date_ = life_ + 1;
    count_ = 0;
  }
  bool empty() const noexcept { return cells_.empty(); }
  std::uint64_t bytes() const noexcept { return cells_.capacity() * 4; }

  void add(std::uint32_t hash) noexcept {
    if (++count_ >= step_) {
      count_ = 0;
      date_ = (date_ + 1) & 0xFFFF;
    }
    const std::uint64_t mixed = spread(hash);
    std::uint32_t* const line = line_of(mixed);
    const std::uint32_t mark = mark_of(mixed);
    std::uint32_t oldest = 0, oldest_age = 0;
    for (std::uint32_t way = 0; way < kWays; ++way) {
      if ((line[way] >> 16) == mark) {
        oldest = way;
        break;
      }
      const std::uint32_t age = line[way] == 0 ? 0x10000 : (date_ - line[way]) & 0xFFFF;
      if (age >= oldest_age) {
        oldest = way;
        oldest_age = age;
      }
    }
    line[oldest] = (mark << 16) | date_;
  }

  void prefetch(std::uint32_t hash) const noexcept { prefetch_read(&cells_[first_of(spread(hash))]); }

  /// True where the hash was evicted lately; it is forgotten then.
  bool take(std::uint32_t hash) noexcept {
    const std::uint64_t mixed = spread(hash);
    std::uint32_t* const line = line_of(mixed);
    const std::uint32_t mark = mark_of(mixed);
    for (std::uint32_t way = 0; way < kWays; ++way) {
      if ((line[way] >> 16) != mark) continue;
      const bool lately = ((date_ - line[way]) & 0xFFFF) <= life_;
      line[way] = 0;
      return lately;
    }
    return false;
  }

 private:
  std::size_t first_of(std::uint64_t mixed) const noexcept {
    return static_cast<std::size_t>(((mixed & 0xFFFFFFFF) * lines_) >> 32) * kWays;
  }
  std::uint32_t* line_of(std::uint64_t mixed) noexcept { return &cells_[first_of(mixed)]; }
  static std::uint32_t mark_of(std::uint64_t mixed) noexcept {
    const auto mark = static_cast<std::uint32_t>(mixed >> 48);
    return mark == 0 ? 1 : mark;
  }

  std::vector<std::uint32_t> cells_;
  std::uint32_t lines_ = 0;
  std::uint32_t step_ = 1, life_ = 0, date_ = 0, count_ = 0;
};

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
