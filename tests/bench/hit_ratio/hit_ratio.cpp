// tests/bench/hit_ratio/hit_ratio.cpp - miss ratios of the engine beside models of known policies, on traces.
//
//   hit_ratio [folder with *.trace.xz, or -] [requests at most for each trace]
//
// Each trace is replayed at 1, 5, 10, 20 and 40 % of its distinct keys; the tables show the miss ratio at each size and
// the mean. The engine is the real one, with keys and values; the others are models of models.hpp, and the optimum is
// the floor. Without a folder only the generated traces run. The last lines compare with what must be reached.
#include "models.hpp"
#include "traces.hpp"

#include <flux/cache/engine/engine.hpp>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace bench;
namespace engine = flux::cache::engine;

constexpr int kPercents[] = {1, 5, 10, 20, 40};

class Flux {
 public:
  Flux(std::uint32_t capacity, std::uint32_t, engine::Policy policy = engine::Policy::adaptive)
      : engine_({.max_items = capacity, .policy = policy}) {}
  bool hit(std::uint32_t key) {
    const std::string_view bytes(reinterpret_cast<const char*>(&key), sizeof key);
    // A fixed seed, so that two runs print the same table.
    const std::uint64_t hash = flux::cache::detail::hash_bytes(bytes.data(), bytes.size(), 0x5EED);
    if (engine_.visit(bytes, hash, [](const engine::View&) {})) return true;
    engine_.put(bytes, hash, engine::Draft::of(bytes));
    return false;
  }

 private:
  engine::Engine engine_;
};

template <class Model>
double miss_ratio(Model&& model, const Trace& trace) {
  std::uint64_t misses = 0;
  for (const std::uint32_t key : trace.requests) misses += !model.hit(key);
  return double(misses) / double(trace.requests.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Trace> traces;
  if (argc > 1 && std::string(argv[1]) != "-") traces = recorded(argv[1]);
  for (Trace& trace : generated()) traces.push_back(std::move(trace));
  const std::size_t most = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : ~std::size_t{0};
  const std::vector<std::string> names = {"engine", "LRU", "FIFO", "S3-FIFO", "W-TinyLFU", "optimum"};
  const std::map<std::string, double> recommended = {
      {"web07", 0.428}, {"web12", 0.320}, {"orm-night", 0.112}, {"orm-busy", 0.119}};
  std::string verdicts;
  for (Trace& trace : traces) {
    if (trace.requests.size() > most) trace.requests.resize(most);
    std::printf("\n%s: %zu requests, %u keys\n%6s", trace.name.c_str(), trace.requests.size(), trace.keys, "size");
    for (const std::string& name : names) std::printf("%11s", name.c_str());
    std::printf("\n");
    std::vector<double> means(names.size(), 0);
    for (const int percent : kPercents) {
      const std::uint32_t capacity =
          std::max(1u, static_cast<std::uint32_t>(std::uint64_t{trace.keys} * percent / 100));
      const double ratios[] = {
          miss_ratio(Flux(capacity, trace.keys), trace),
          miss_ratio(Lru(capacity, trace.keys), trace),
          miss_ratio(Fifo(capacity, trace.keys), trace),
          miss_ratio(S3Fifo(capacity, trace.keys), trace),
          miss_ratio(WTinyLfu(capacity, trace.keys), trace),
          double(optimum_misses(trace.requests, trace.keys, capacity)) / double(trace.requests.size())};
      std::printf("%4d %%", percent);
      for (std::size_t at = 0; at < names.size(); ++at) {
        std::printf("%11.4f", ratios[at]);
        means[at] += ratios[at] / 5;
      }
      std::printf("\n");
    }
    std::printf("%6s", "mean");
    for (const double mean : means) std::printf("%11.4f", mean);
    std::printf("\n");
    std::fflush(stdout);
    char line[160];
    const auto known = recommended.find(trace.name);
    const double best = *std::min_element(means.begin() + 1, means.end() - 1);
    const double wanted = known != recommended.end() ? known->second : best + 0.02;
    std::snprintf(line, sizeof line, "  %-12s at most %.3f   reached %.4f   %s\n", trace.name.c_str(), wanted, means[0],
                  means[0] < wanted + 0.0005 ? "yes" : "NO");
    verdicts += line;
  }
  std::printf(
      "\nwhat must be reached: recorded traces, the recommended figure; generated ones, the best fixed policy + "
      "0.02\n%s",
      verdicts.c_str());
  return 0;
}
