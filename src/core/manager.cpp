#include <pthread.h>
#include <flux/cache/drivers.hpp>
#include <flux/cache/engine/registry.hpp>
#include <flux/cache/layers/breaker.hpp>
#include <flux/cache/layers/owing.hpp>
#include <flux/cache/layers/serialized.hpp>
#include <flux/cache/layers/tagged.hpp>
#include <flux/cache/manager.hpp>

#include <forward_list>
#include <fstream>
#include <map>
#include <mutex>

namespace flux::cache {
inline namespace v1 {

/// A store is built under its own lock, so that a slow one holds nobody else up and a composite may ask for its parts.
struct StoreManager::State : std::enable_shared_from_this<StoreManager::State> {
  struct Slot {
    std::mutex building;
    StorePtr store;  // with the layers that keep its promises
    std::optional<Repository> repository;
  };

  State(Config given, const Clock& time) : config(checked(std::move(given))), clock(&time) {
    for (const auto& [name, store] : config.stores) slots.try_emplace(name, std::make_shared<Slot>());
  }

  std::shared_ptr<Slot> slot(std::string_view name) {
    const std::scoped_lock guard(mutex);
    const auto at = slots.find(name);
    if (at != slots.end()) return at->second;
    std::string known;
    for (const auto& [other, slot] : slots) known += (known.empty() ? "" : ", ") + other;
    throw ConfigError(Error{Errc::bad_config, "there is no store \"" + std::string(name) + "\"; there are: " + known});
  }

  StorePtr built(std::string_view name) {
    const auto place = slot(name);
    const std::scoped_lock guard(place->building);
    if (!place->store) place->store = build(name);
    return place->store;
  }

  Repository repository(std::string_view name) {
    const auto place = slot(name);
    const std::scoped_lock guard(place->building);
    if (!place->repository) {
      if (!place->store) place->store = build(name);
      RepositoryOptions options = rules_of(config, name).repository;
      options.clock = clock;
      // A composite's part needs no such thing: its composite looks after it, and has no trait of a remote one itself.
      const StorePtr store = place->store->traits().remote ? make_owing(place->store) : place->store;
      place->repository.emplace(store, options, std::string(name));
    }
    return *place->repository;
  }

  /// The driver's store, with the border and the tags put on where the store has none of its own.
  StorePtr build(std::string_view name) {
    const DriverContext context(std::string(name), config, *clock,
                                [this](std::string_view other) { return built(other); });
    StorePtr store = drivers().make(context);
    const StoreRules& rules = context.rules();
    store = guarded(std::move(store), rules);
    if (!store->traits().objects || rules.bytes) store = make_serialized(std::move(store), frame_of(name, rules));
    if (!store->traits().tags) store = make_tagged(std::move(store), {.clock = clock});
    return store;
  }

  /// Without a word in the configuration, what is remote has a breaker that lets it come back soon; what is
  /// spread over several servers looks after each of them itself.
  StorePtr guarded(StorePtr store, const StoreRules& rules) const {
    constexpr Duration kPause = std::chrono::milliseconds(500);
    if (!rules.circuit_breaker && (!store->traits().remote || store->traits().spread)) return store;
    BreakerOptions options = rules.circuit_breaker.value_or(BreakerOptions{.timeout = kPause, .max_timeout = kPause});
    if (options.failure_threshold == 0) return store;
    options.clock = clock;
    return make_breaker(std::move(store), options);
  }

  static FrameOptions frame_of(std::string_view name, const StoreRules& rules) {
    const auto there = [&](const auto* found, std::string_view what, const std::string& which) {
      if (found != nullptr) return found;
      throw ConfigError(Error{Errc::bad_config, "/stores/" + std::string(name) + ": the " + std::string(what) + " \"" +
                                                    which + "\" is not in this build"});
    };
    FrameOptions options{.compress_from = static_cast<std::size_t>(rules.compress_from),
                         .frame = rules.frame,
                         .max_bytes = static_cast<std::size_t>(rules.max_value)};
    options.format = there(formats().find(rules.serializer), "serializer", rules.serializer);
    if (rules.frame && rules.compression != "none")
      options.compressor = there(compressors().find(rules.compression), "compressor", rules.compression);
    if (options.compressor != nullptr && !rules.dictionary.empty())
      options.compressor = with_dictionary(*options.compressor, rules.dictionary);
    return options;
  }

  static const Compressor* with_dictionary(const Compressor& compressor, const std::string& path) {
    const auto wrong = [&](const std::string& why) {
      return ConfigError(Error{Errc::bad_config, "/serialize/dictionary: \"" + path + "\" " + why});
    };
    constexpr std::size_t kMost = 16 * 1024 * 1024;
    std::ifstream file(path, std::ios::binary);
    std::string bytes(kMost + 1, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    if (file.bad() || bytes.empty()) throw wrong("cannot be read, or is empty");
    if (bytes.size() > kMost) throw wrong("is larger than 16 MiB");
    auto made = compressor.with_dictionary(bytes);
    if (!made.ok()) throw wrong("does not do: " + made.error().message);
    return *made;
  }

  const Config config;
  const Clock* const clock;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Slot>, std::less<>> slots;
};

StoreManager::StoreManager(Config config, const Clock& clock)
    : state_(std::make_shared<State>(std::move(config), clock)) {}
StoreManager::StoreManager(const StoreManager&) = default;
StoreManager::StoreManager(StoreManager&&) noexcept = default;
StoreManager& StoreManager::operator=(const StoreManager&) = default;
StoreManager& StoreManager::operator=(StoreManager&&) noexcept = default;
StoreManager::~StoreManager() = default;

Repository StoreManager::store() const { return state_->repository(state_->config.default_store); }
Repository StoreManager::store(std::string_view name) const { return state_->repository(name); }
const Config& StoreManager::config() const noexcept { return state_->config; }

void StoreManager::forget_store(std::string_view name) const {
  const auto place = state_->slot(name);
  const std::scoped_lock guard(place->building);
  place->repository.reset();
  place->store.reset();
}

namespace detail {

namespace {

/// What the facade works over. Never destroyed, so that a destructor of a global may still use the cache.
struct Facade {
  std::mutex mutex;
  std::optional<StoreManager> manager;
  std::optional<Repository> repository;
  std::forward_list<Repository> lent;  // to threads whose own holder is gone, one for each generation; never given up
  std::uint64_t lent_generation = 0;   // of the first of them
};

/// Makes the engine hook its locks for forks.
struct EngineHook final : engine::Registered {
  EngineHook() { enlist(); }
  ~EngineHook() { delist(); }
  void before_fork() noexcept override {}
  void after_fork() noexcept override {}
};

Facade& facade() {
  static Facade* const one = [] {
    // Stores are made under the mutex, and enlist themselves for forks: so a fork takes it before the engine's locks,
    // for what was hooked last is taken first.
    const EngineHook before_us;
    ::pthread_atfork([] { facade().mutex.lock(); }, [] { facade().mutex.unlock(); }, [] { facade().mutex.unlock(); });
    return new Facade;
  }();
  return *one;
}

/// Counts the managers put in force; a thread whose seat shows another number looks again.
std::atomic<std::uint64_t> generation{1};

struct Seat {
  std::uint64_t generation = 0;
  const Repository* repository = nullptr;
  bool ended = false;  // the thread's holder is gone: its last destructors are running
};
[[gnu::tls_model("initial-exec")]] constinit thread_local Seat seat;

/// Keeps what the seat points to, as long as the thread lives or until it looks again.
struct Holder {
  std::optional<Repository> repository;
  ~Holder() { seat = {0, nullptr, true}; }
};

[[gnu::noinline]] const Repository& look_again() {
  Facade& here = facade();
  std::unique_lock lock(here.mutex);
  const std::uint64_t now = generation.load(std::memory_order_relaxed);
  if (!here.manager) here.manager.emplace();
  if (!here.repository) here.repository = here.manager->store();
  if (seat.ended) {
    if (here.lent_generation != now) {
      here.lent.push_front(*here.repository);
      here.lent_generation = now;
    }
    seat.repository = &here.lent.front();
    seat.generation = now;
    return *seat.repository;
  }
  Repository fresh = *here.repository;
  lock.unlock();
  static thread_local Holder holder;
  std::optional<Repository> old = std::exchange(holder.repository, std::move(fresh));
  seat.repository = &*holder.repository;
  seat.generation = now;
  return *holder.repository;  // `old` goes last: its end may itself use the cache
}

}  // namespace

const Repository& current_repository() {
  if (seat.generation == generation.load(std::memory_order_acquire)) [[likely]]
    return *seat.repository;
  return look_again();
}

StoreManager current_manager() {
  Facade& here = facade();
  const std::scoped_lock guard(here.mutex);
  if (!here.manager) here.manager.emplace();
  return *here.manager;
}

void replace_manager(StoreManager manager) {
  Facade& here = facade();
  std::optional<StoreManager> old;
  std::optional<Repository> old_repository;
  const std::scoped_lock guard(here.mutex);
  old = std::exchange(here.manager, std::move(manager));
  old_repository = std::exchange(here.repository, std::nullopt);
  generation.fetch_add(1, std::memory_order_release);
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
