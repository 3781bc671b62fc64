// remember_many: one read of all keys, one call of the loader for those that this caller leads.
#include <algorithm>
#include <stdexcept>
#include <unordered_map>

#include "job.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

/// The loader's answers, kept by key.
using Answers = std::unordered_map<std::string, Value>;

/// Says of several flights that this thread runs their loader; let go in reverse.
class PilotingAll {
 public:
  void add(Flight& flight) { all_.push_back(std::make_unique<Piloting>(flight)); }
  ~PilotingAll() {
    while (!all_.empty()) all_.pop_back();
  }

 private:
  std::vector<std::unique_ptr<Piloting>> all_;
};

}  // namespace

Options flexible_options(const Fresh& lives) {
  const Duration fresh = lives.fresh.length();
  const Duration stale = lives.stale.length();
  if (fresh > stale) throw std::invalid_argument("flux::cache: flexible: the fresh life is longer than the stale one");
  Options options{.ttl = lives.fresh};
  options.stale = lives.stale.is_forever() ? Duration::max() : stale - fresh;
  return options;
}

void Core::load_many(const BatchLoadRequest& request) {
  std::vector<std::size_t> missing;
  {
    std::vector<bool> hits(request.keys.size());
    auto read = get_many(request.tags, request.keys, &request.as, [&](std::size_t i, const ValueView& value) {
      const bool fits = request.take(i, value);
      hits[i] = fits;
      return fits;
    });
    if (!read.ok() && !is_unreadable(read.error().code)) escalate(read.error());
    for (std::size_t i = 0; i < hits.size(); ++i)
      if (!hits[i]) missing.push_back(i);
  }
  if (missing.empty()) return;

  const auto never = [](const ValueView&) { return true; };
  const auto no_loader = [](LoadSaid&) { return Value(); };
  const auto no_copy = []() -> OwnedLoader { return {}; };
  std::vector<std::pair<std::size_t, std::shared_ptr<Job>>> led;
  std::vector<std::size_t> others;
  std::vector<std::string> names;
  const std::uint64_t moment = next_moment();
  std::exception_ptr failure;
  Answers answers;
  try {
    for (const std::size_t i : missing) {
      const std::string_view key = request.keys[i].text();
      Snapshot seen = Job::look(*this, request.tags, key, request.as);
      if (seen.is_negative()) continue;
      if (seen.fresh && seen.usable && request.take(i, seen.entry.view().value)) continue;
      bool leads = false;
      const auto flight = flights_->join_or_lead(key, moment, seen.ticket(), leads);
      if (!leads) {
        others.push_back(i);
        continue;
      }
      const LoadRequest one{request.tags, key, request.as, request.life, true, never, no_loader, no_copy};
      led.emplace_back(i, std::make_shared<Job>(shared_from_this(), one, flight, std::move(seen)));
      Job& job = *led.back().second;
      Job::Claim claim = job.claim();
      while (claim == Job::Claim::changed) {
        job.see(Job::look(*this, request.tags, key, request.as));
        if (job.snapshot().kept) break;
        claim = job.claim();
      }
      if (claim == Job::Claim::won) {
        names.emplace_back(key);
      } else {
        job.settle({.look_again = true});
        led.pop_back();
        others.push_back(i);
      }
    }
    if (!led.empty()) {
      PilotingAll at_work;
      for (const auto& [i, job] : led) at_work.add(*job->flight());
      request.load(names, [&](std::string_view key, const ValueView& value) {
        answers.insert_or_assign(std::string(key), Value(value));
      });
    }
  } catch (...) {
    failure = std::current_exception();
  }

  // What nobody asked for is written while the tickets of what was asked for still stand.
  const bool may_add = !failure && !led.empty() && led.front().second->may_store() &&
                       (request.life.options == nullptr || !request.life.options->skip_store);
  if (const auto expiry = may_add ? expiry_of(request.life) : std::nullopt) {
    for (const auto& [key, value] : answers) {
      if (std::find(names.begin(), names.end(), key) != names.end() || check(key, "remember_many")) continue;
      auto written = led.front().second->add(key, value.view(), *expiry);
      if (!written.ok()) {
        settle(Result<bool>(failed(written.take_error(), "remember_many", key)), false);
      } else if (*written) {
        counters_.add(Count::put);
        emit(EventKind::put, key, request.tags);
      }
    }
  }

  for (const auto& [i, job] : led) {
    const auto answer = answers.find(std::string(request.keys[i].text()));
    job->run([&](LoadSaid&) {
      if (failure) std::rethrow_exception(failure);
      return answer != answers.end() ? answer->second : Value();
    });
    if (!failure && answer != answers.end()) request.take(i, answer->second.view());
    const bool covered = failure && request.life.options != nullptr && request.life.options->fail_safe &&
                         job->snapshot().has_stale() && request.take(i, job->snapshot().entry.view().value);
    if (covered) count(Count::stale_hit);
    if (failure && !covered) {
      // The first key without a stale value decides; the rest of the flights still land.
      for (const auto& [j, rest] : led)
        if (!rest->flight()->landed()) rest->settle({.failure = failure});
      std::rethrow_exception(failure);
    }
  }
  if (failure && led.empty()) std::rethrow_exception(failure);
  for (const std::size_t i : others) {
    const std::vector<std::string> name{std::string(request.keys[i].text())};
    const auto load_one = [&](LoadSaid&) {
      Value found;
      request.load(name, [&](std::string_view key, const ValueView& value) {
        if (key == name.front()) found = Value(value);
      });
      return found;
    };
    const auto take_one = [&](const ValueView& value) { return request.take(i, value); };
    const auto own = [&]() -> OwnedLoader { return {}; };
    Options options = request.life.options != nullptr ? *request.life.options : Options{};
    options.soft_timeout = options.hard_timeout = options.stale = std::nullopt;  // the loader cannot outlive this call
    load({request.tags, name.front(), request.as, {request.life.ttl, &options}, true, take_one, load_one, own});
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
