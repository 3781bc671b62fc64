// tests/bench/facade - what the verbs cost above the memory engine: `bench_facade [rounds=15]`.
//
// Sixty-four keys of 20 bytes, so that everything lies in the nearest cache and the calls' own work is what is seen:
// half of the requests of a usual load go to keys that do. Each round times every contestant over the same keys in
// turn; the figures are the medians over the rounds, in nanoseconds for one call. Allocations are counted by this
// program's operator new.
#include <flux/cache.hpp>
#include <flux/cache/decorator.hpp>
#include <flux/cache/detail/hash.hpp>
#include <flux/cache/engine/engine.hpp>
#include <flux/cache/repository.hpp>
#include <flux/cache/stores/memory.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {
std::size_t allocations = 0;
}

// Not inlined: g++ 12 then takes `malloc` and `operator delete` for a mismatched pair.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

namespace engine = flux::cache::engine;
using flux::cache::Decorator;
using flux::cache::Repository;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kKeys = 64;
constexpr std::size_t kCalls = 100'000;

/// Something that lives as an object: not text, not a number.
struct Product {
  std::uint64_t id = 0;
  std::string name;
};

/// A layer that hands reads on as they are.
class Through final : public Decorator {
 public:
  using Decorator::Decorator;
  flux::cache::Result<flux::cache::Got> get_value(const flux::cache::Key& key,
                                                  const flux::cache::ValueRead& how) override {
    return inner().get_value(key, how);
  }
};

/// A layer that might change what is read, and so is shown whole entries.
class Between final : public Decorator {
 public:
  using Decorator::Decorator;
};

struct Contestant {
  std::string name;
  std::function<std::size_t()> run;  ///< `kCalls` calls; answers something that depends on all of them
  std::vector<double> times{};
  double allocations = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double milliseconds_since(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

/// The time of a flush of one tag that a million entries carry.
double flush_of_a_tag() {
  const Repository cache(flux::cache::make_memory({.max_size = 2'000'000}));
  const auto tagged = cache.tags({"all"});
  for (int id = 0; id < 1'000'000; ++id) tagged.put("key:" + std::to_string(id), id);
  const auto from = Clock::now();
  tagged.flush();
  return milliseconds_since(from);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
  std::vector<std::string> keys;
  for (std::size_t id = 0; id < kKeys; ++id) {
    std::string number = std::to_string(id);
    keys.push_back("user:" + std::string(15 - number.size(), '0') + number);
  }
  const std::string text(100, 'v');

  engine::Engine bare({.max_items = 4'000});
  engine::Engine objects({.max_items = 4'000});
  const flux::cache::StorePtr store = flux::cache::make_memory({.max_size = 4'000});
  flux::Cache::configure(
      {.default_store = "memory", .stores = {{"memory", flux::cache::MemoryConfig{.max_size = 4'000}}}});
  const Repository cache(store);
  const Repository layered(std::make_shared<Through>(store));
  const Repository entries(std::make_shared<Between>(store));
  const Repository tag_cache(flux::cache::make_memory({.max_size = 4'000}));
  const auto tagged = tag_cache.tags({"people", "shop"});
  const flux::cache::Type& type = flux::cache::type_of<Product>();
  for (const std::string& key : keys) {
    const auto hash = flux::cache::detail::hash_key(key);
    bare.put(key, hash, engine::Draft::of(std::string_view(text)));
    objects.put(key, hash, engine::Draft::of(std::make_shared<const Product>(), type));
    cache.put(key, text);
    flux::Cache::put(key, text);
    flux::Cache::put("o" + key, Product{});
    flux::Cache::put("n" + key, 7);
    tagged.put(key, text);
  }
  std::vector<std::string> object_keys, number_keys;
  for (const std::string& key : keys) object_keys.push_back("o" + key), number_keys.push_back("n" + key);

  const auto over = [](const std::vector<std::string>& all, auto&& call) {
    return [&all, call] {
      std::size_t sum = 0;
      for (std::size_t at = 0; at < kCalls; ++at) sum += call(all[at % kKeys]);
      return sum;
    };
  };
  std::vector<Contestant> contestants;
  const auto enter = [&](const char* name, std::function<std::size_t()> run) {
    contestants.push_back({name, std::move(run)});
  };
  enter("engine: text copied out", over(keys, [&](const std::string& key) {
          std::optional<std::string> out;
          bare.visit(key, flux::cache::detail::hash_key(key),
                     [&](const engine::View& view) { out.emplace(view.text()); });
          return out->size();
        }));
  enter("Cache::get<std::string>",
        over(keys, [&](const std::string& key) { return flux::Cache::get<std::string>(key)->size(); }));
  enter("get<std::string> through a layer",
        over(keys, [&](const std::string& key) { return layered.get<std::string>(key)->size(); }));
  enter("get<std::string> through a layer that reads entries",
        over(keys, [&](const std::string& key) { return entries.get<std::string>(key)->size(); }));
  enter("get<std::string> of an entry with two tags",
        over(keys, [&](const std::string& key) { return tag_cache.get<std::string>(key)->size(); }));
  enter("get<std::string> under two tags",
        over(keys, [&](const std::string& key) { return tagged.get<std::string>(key)->size(); }));
  enter("Cache::remember, hit", over(keys, [&](const std::string& key) {
          return flux::Cache::remember(key, std::chrono::minutes(1), [] { return std::string(); }).size();
        }));
  enter("engine: object shared", over(keys, [&](const std::string& key) {
          std::shared_ptr<const void> out;
          objects.visit(key, flux::cache::detail::hash_key(key), [&](const engine::View& view) { out = view.share(); });
          return static_cast<const Product*>(out.get())->id;
        }));
  enter("Cache::get_shared<Product>",
        over(object_keys, [&](const std::string& key) { return flux::Cache::get_shared<Product>(key)->id; }));
  enter("Cache::get<int>", over(number_keys, [&](const std::string& key) {
          return static_cast<std::size_t>(*flux::Cache::get<int>(key));
        }));
  enter("get<std::string> of a repository",
        over(keys, [&](const std::string& key) { return cache.get<std::string>(key)->size(); }));

  std::size_t sum = 0;
  for (int round = 0; round < rounds; ++round) {
    for (Contestant& each : contestants) {
      const std::size_t before = allocations;
      const auto from = Clock::now();
      sum += each.run();
      each.times.push_back(milliseconds_since(from) * 1e6 / kCalls);
      each.allocations = static_cast<double>(allocations - before) / kCalls;
    }
  }
  std::printf("%-52s %10s %12s\n", "", "ns", "allocations");
  for (const Contestant& each : contestants)
    std::printf("%-52s %10.1f %12.2f\n", each.name.c_str(), median(each.times), each.allocations);

  // Differences and ratios are taken within a round, then the median: what slows the machine slows both.
  const auto apart = [&](std::size_t a, std::size_t b, bool ratio) {
    std::vector<double> all;
    for (std::size_t at = 0; at < contestants[a].times.size(); ++at)
      all.push_back(ratio ? contestants[a].times[at] / contestants[b].times[at]
                          : contestants[a].times[at] - contestants[b].times[at]);
    return median(all);
  };
  std::printf("\nwhat must be reached%42s\n", "");
  const auto target = [](const char* what, double reached, double most) {
    std::printf("  %-52s at most %7.2f   reached %7.2f   %s\n", what, most, reached, reached <= most ? "yes" : "NO");
  };
  const auto at = [&](std::string_view name) {
    return static_cast<std::size_t>(
        std::find_if(contestants.begin(), contestants.end(), [&](const Contestant& one) { return one.name == name; }) -
        contestants.begin());
  };
  const std::size_t engine_text = at("engine: text copied out"), get = at("Cache::get<std::string>"),
                    of_repository = at("get<std::string> of a repository");
  target("Cache::get above the engine, ns", apart(get, engine_text, false), 8);
  target("Cache::get above the engine, allocations",
         contestants[get].allocations - contestants[engine_text].allocations, 0);
  target("a layer, ns", apart(at("get<std::string> through a layer"), of_repository, false), 5);
  target("a layer that is shown whole entries, ns",
         apart(at("get<std::string> through a layer that reads entries"), of_repository, false), 5);
  target("a hit on an entry with two tags, x untagged",
         apart(at("get<std::string> of an entry with two tags"), of_repository, true), 1.3);
  target("Cache::remember on a hit above get, ns", apart(at("Cache::remember, hit"), get, false), 10);
  target("Cache::get_shared above the engine, ns",
         apart(at("Cache::get_shared<Product>"), at("engine: object shared"), false), 15);
  target("flush of a tag on 1,000,000 keys, ms", flush_of_a_tag(), 1);
  return sum == 0;
}
