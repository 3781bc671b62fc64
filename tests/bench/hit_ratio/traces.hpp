// tests/bench/hit_ratio/traces.hpp - request sequences: recorded ones from a folder, generated ones from arithmetic.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace bench {

/// Requests by dense key numbers, 0 up to `keys`.
struct Trace {
  std::string name;
  std::vector<std::uint32_t> requests;
  std::uint32_t keys = 0;
};

inline Trace dense(std::string name, const std::vector<std::uint32_t>& raw) {
  Trace trace{std::move(name), {}, 0};
  std::unordered_map<std::uint32_t, std::uint32_t> numbers;
  trace.requests.reserve(raw.size());
  for (const std::uint32_t key : raw) {
    const auto [at, fresh] = numbers.try_emplace(key, trace.keys);
    trace.keys += fresh;
    trace.requests.push_back(at->second);
  }
  return trace;
}

/// All "*.trace.xz" of a folder: big-endian 32-bit keys. Unpacked by the `xz` command.
inline std::vector<Trace> recorded(const std::string& folder) {
  std::vector<Trace> traces;
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (file.path().string().ends_with(".trace.xz")) files.push_back(file.path());
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    std::FILE* const pipe = ::popen(("xz -dc '" + path.string() + "'").c_str(), "r");
    if (pipe == nullptr) continue;
    std::vector<std::uint32_t> raw;
    unsigned char bytes[4];
    while (std::fread(bytes, 1, 4, pipe) == 4)
      raw.push_back(std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
                    bytes[3]);
    ::pclose(pipe);
    traces.push_back(dense(path.stem().stem().string(), raw));
  }
  return traces;
}

inline std::vector<std::uint32_t> zipf(std::uint32_t keys, std::size_t requests, double exponent, std::uint64_t seed) {
  std::vector<double> sums(keys);
  double sum = 0;
  for (std::uint32_t rank = 0; rank < keys; ++rank) sums[rank] = sum += std::pow(double(rank + 1), -exponent);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<std::uint32_t> raw(requests);
  for (auto& request : raw)
    request = static_cast<std::uint32_t>(std::lower_bound(sums.begin(), sums.end(), uniform(random)) - sums.begin());
  return raw;
}

/// What no recorded trace of a shop shows: loops larger than the cache, scans through a hot set, zigzags, loads that
/// change their nature from one phase to the next.
inline std::vector<Trace> generated() {
  std::vector<Trace> traces;
  std::vector<std::uint32_t> raw;
  constexpr std::uint32_t kKeys = 20'000;
  constexpr std::size_t kRequests = 600'000;

  for (std::size_t at = 0; at < kRequests; ++at) raw.push_back(static_cast<std::uint32_t>(at % kKeys));
  traces.push_back(dense("loop", raw));

  raw.clear();
  for (std::size_t at = 0; at < kRequests; ++at) {
    const auto step = static_cast<std::uint32_t>(at % (2 * kKeys - 2));
    raw.push_back(step < kKeys ? step : 2 * kKeys - 2 - step);
  }
  traces.push_back(dense("zigzag", raw));

  raw = zipf(kKeys, kRequests, 0.9, 1);
  traces.push_back(dense("zipf 0.9", raw));

  // A hot set, and every now and then a scan of keys that never come back.
  raw.clear();
  const auto hot = zipf(kKeys, kRequests, 0.9, 2);
  std::uint32_t once = 1'000'000;
  for (std::size_t at = 0; at < kRequests; ++at) {
    raw.push_back(hot[at]);
    if (at % 30'000 >= 20'000) raw.push_back(once++);
  }
  traces.push_back(dense("scans", raw));

  // Interest that moves: each key is asked for around its own time.
  raw.clear();
  std::mt19937_64 random(3);
  std::exponential_distribution<double> age(1.0 / 1500);
  for (std::size_t at = 0; at < kRequests; ++at)
    raw.push_back(static_cast<std::uint32_t>(std::max(0.0, double(at) / 10 + 20'000 - age(random))));
  traces.push_back(dense("recency", raw));

  // Phases: a loop, moving interest, another hot set, a scan.
  raw.clear();
  const auto other = zipf(kKeys, kRequests, 1.0, 4);
  for (std::uint32_t phase = 0; phase < 12; ++phase) {
    for (std::uint32_t at = 0; at < 60'000; ++at) {
      switch (phase % 4) {
        case 0: raw.push_back(at % kKeys); break;
        case 1:
          raw.push_back(
              static_cast<std::uint32_t>(5'000'000 + phase * 100'000 + at / 10 + 2000 - std::min(2000.0, age(random))));
          break;
        case 2: raw.push_back(2'000'000 + phase * 100'000 + other[at + phase * 1000]); break;
        default: raw.push_back(at % 3 == 0 ? 9'000'000 + phase * 100'000 + at : other[at]); break;
      }
    }
  }
  traces.push_back(dense("phases", raw));
  return traces;
}

}  // namespace bench
