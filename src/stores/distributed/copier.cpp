#include "copier.hpp"

#include <algorithm>

#include "composite/composite_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace distributed {

namespace {

constexpr std::size_t kBatch = 256;
constexpr Duration kFirstPause = std::chrono::milliseconds(50);
constexpr Duration kLongestPause = std::chrono::seconds(5);
constexpr Duration kDrain = std::chrono::seconds(1);
/// A key that is written all the time is left to the copy that its last write asks for.
constexpr int kLooks = 8;

}  // namespace

Copier::~Copier() {
  background_.close();
  const auto until = std::chrono::steady_clock::now() + kDrain;
  for (const Step& step : steps_) {
    if (std::chrono::steady_clock::now() < until && copy({&step, 1})) continue;
    (void)replica_->flush({});
    return;
  }
}

void Copier::key(std::string_view key, const Type* as) {
  Step step{.kind = Step::Kind::key, .key = std::string(key), .as = as};
  push(std::move(step));
}

void Copier::flush(const Scope& scope) {
  Step step{.kind = scope.tags.empty() ? Step::Kind::flush : Step::Kind::flush_tags};
  step.tags.assign(scope.tags.begin(), scope.tags.end());
  step.any = scope.any;
  push(std::move(step));
}

void Copier::push(Step step) {
  {
    const std::scoped_lock guard(mutex_);
    if (step.kind == Step::Kind::key) {
      if (queued_.contains(step.key)) return;
      if (steps_.size() >= max_pending_) step = {.kind = Step::Kind::flush};
    }
    if (step.kind == Step::Kind::flush) {
      // What waits is overtaken; what is in hand stays counted.
      for (const Step& old : steps_) {
        if (old.kind != Step::Kind::key)
          --flushes_;
        else if (const auto at = behind_.find(old.key); at != behind_.end() && --at->second == 0)
          behind_.erase(at);
      }
      steps_.clear();
    }
    if (step.kind == Step::Kind::key) {
      ++behind_[step.key];
      queued_.emplace(step.key, 1);
    } else {
      ++flushes_;
      queued_.clear();
    }
    steps_.push_back(std::move(step));
  }
  start();
}

bool Copier::is_behind(std::string_view key) const {
  const std::scoped_lock guard(mutex_);
  return flushes_ != 0 || behind_.contains(std::string(key));
}

std::size_t Copier::pending() const {
  const std::scoped_lock guard(mutex_);
  return steps_.size();
}

void Copier::start() {
  {
    const std::scoped_lock guard(mutex_);
    if (running_ || steps_.empty()) return;
    running_ = true;
  }
  if (background_.submit([this] { run(); })) return;
  const std::scoped_lock guard(mutex_);
  running_ = false;  // the next write tries again
}

void Copier::run() {
  for (;;) {
    std::vector<Step> hand;
    {
      const std::scoped_lock guard(mutex_);
      while (!steps_.empty() && hand.size() < kBatch) {
        if (steps_.front().kind == Step::Kind::key) queued_.erase(steps_.front().key);
        hand.push_back(std::move(steps_.front()));
        steps_.pop_front();
      }
      if (hand.empty()) {
        running_ = false;
        return;
      }
    }
    const bool copied = copy(hand);
    const std::scoped_lock guard(mutex_);
    if (copied) {
      pause_ = {};
      for (const Step& step : hand) {
        if (step.kind != Step::Kind::key)
          --flushes_;
        else if (const auto at = behind_.find(step.key); at != behind_.end() && --at->second == 0)
          behind_.erase(at);
      }
      continue;
    }
    // Back to the front, in order; all of it once more, for each step may be repeated.
    for (auto step = hand.rbegin(); step != hand.rend(); ++step) steps_.push_front(std::move(*step));
    pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    background_.submit_later(pause_, [this] { run(); });
    return;
  }
}

bool Copier::copy(std::span<const Step> steps) {
  for (const Step& step : steps) {
    if (step.kind == Step::Kind::key) {
      if (!copy_key(step)) return false;
      continue;
    }
    const std::vector<std::string_view> tags(step.tags.begin(), step.tags.end());
    auto done = replica_->flush({tags, step.any});
    if (!done.ok() && is_transient(done.error().code)) return false;
  }
  return true;
}

bool Copier::copy_key(const Step& step) {
  const Key key(step.key);
  std::uint64_t copied = 0;
  bool first = true;
  for (int look = 0; look < kLooks; ++look) {
    EntryCopy copy;
    auto there =
        primary_->get(key, {.as = step.as, .stale = true}, [&](const Entry& entry) { copy = EntryCopy(entry); });
    if (!there.ok() && is_transient(there.error().code)) return false;
    const Entry entry = copy.view();
    const bool is_worth = there.ok() && *there && composite::is_portable(entry.value);
    const std::uint64_t version = is_worth ? entry.version : 0;
    if (!first && version == copied) return true;
    first = false;
    copied = version;
    if (!is_worth) {
      auto gone = replica_->forget(key, {});
      if (!gone.ok() && is_transient(gone.error().code)) return false;
      continue;
    }
    Entry own = entry;
    std::vector<TagStamp> stamps;
    if (!entry.tags.empty()) {
      // The replica's epochs first, then the look that shows the primary's entry alive.
      std::vector<std::string_view> names;
      for (const TagStamp& tag : entry.tags) names.push_back(tag.name);
      auto epochs = replica_->epochs(names);
      if (!epochs.ok()) return !is_transient(epochs.error().code);
      std::uint64_t now = 0;
      (void)primary_->get(key, {.stale = true}, [&](const Entry& seen) { now = seen.version; });
      if (now != version) {
        first = true;
        continue;
      }
      for (std::size_t i = 0; i < names.size(); ++i) stamps.push_back({names[i], (*epochs)[i]});
      own.tags = stamps;
    }
    auto written = replica_->put(key, own, {});
    if (!written.ok() && is_transient(written.error().code)) return false;
  }
  return true;
}

}  // namespace distributed
}  // namespace v1
}  // namespace flux::cache
