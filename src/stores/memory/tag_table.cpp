#include "tag_table.hpp"

#include <algorithm>

#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

using detail::TagRecord;

TagTable::~TagTable() {
  for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

std::uint32_t TagTable::take_slot() {
  if (!free_.empty()) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (next_ >= kChunk * kChunks) throw std::bad_alloc();
  auto& chunk = chunks_[next_ / kChunk];
  if (chunk.load(std::memory_order_relaxed) == nullptr) chunk.store(new Chunk, std::memory_order_release);
  return next_++;
}

void TagTable::set(std::uint32_t slot, TagRecord record) {
  const std::uint64_t now = record.epoch;
  if (record.rules.empty())
    ruled_.erase(slot);
  else
    ruled_.insert_or_assign(slot, std::move(record));
  epoch(slot).store(now, std::memory_order_release);
}

TagMark TagTable::mark(std::string_view name) {
  const std::scoped_lock guard(mutex_);
  const auto at = slots_.find(name);
  if (at != slots_.end()) return {at->second, epoch(at->second).load(std::memory_order_relaxed), name};
  const std::uint32_t slot = take_slot();
  set(slot, TagRecord::begin(detail::random_bits()));
  slots_.emplace(name, slot);
  begun_.fetch_add(1, std::memory_order_relaxed);
  return {slot, epoch(slot).load(std::memory_order_relaxed), name};
}

bool TagTable::spares(const TagMark* marks, std::size_t count) const {
  bool same = true;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t now = epoch(marks[i].slot).load(std::memory_order_acquire);
    if (now == marks[i].epoch) continue;
    if ((now & ~TagRecord::kCountMask) != (marks[i].epoch & ~TagRecord::kCountMask)) return false;
    same = false;
  }
  if (same) [[likely]]
    return true;
  std::vector<TagStamp> stamps;
  for (std::size_t i = 0; i < count; ++i) stamps.push_back({marks[i].name, marks[i].epoch});
  const std::scoped_lock guard(mutex_);
  for (std::size_t i = 0; i < count; ++i) {
    const auto ruled = ruled_.find(marks[i].slot);
    if (ruled != ruled_.end() ? !ruled->second.spares(marks[i].epoch, stamps)
                              : epoch(marks[i].slot).load(std::memory_order_relaxed) != marks[i].epoch)
      return false;
  }
  return true;
}

void TagTable::flush(const Scope& scope, std::size_t max_rules) {
  std::vector<std::string_view> names(scope.tags.begin(), scope.tags.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const std::scoped_lock guard(mutex_);
  if (scope.any || names.size() == 1) {
    for (const std::string_view name : names)
      if (const auto at = slots_.find(name); at != slots_.end())
        set(at->second, TagRecord::begin(detail::random_bits()));
    return;
  }
  TagRecord least;
  std::uint32_t slot = 0;
  std::string_view named;
  for (const std::string_view name : names) {
    const auto at = slots_.find(name);
    if (at == slots_.end()) return;  // no entry carries a tag that was never begun
    const auto ruled = ruled_.find(at->second);
    const std::size_t rules = ruled != ruled_.end() ? ruled->second.rules.size() : 0;
    if (!named.empty() && rules >= least.rules.size()) continue;
    named = name;
    slot = at->second;
    if (ruled != ruled_.end())
      least = ruled->second;
    else
      least = {epoch(slot).load(std::memory_order_relaxed), {}};
  }
  std::vector<std::string> others;
  for (const std::string_view name : names)
    if (name != named) others.emplace_back(name);
  least.flush(std::move(others), max_rules, detail::random_bits());
  set(slot, std::move(least));
}

std::size_t TagTable::size() const {
  const std::scoped_lock guard(mutex_);
  return slots_.size();
}

TagTable::Sweep::Sweep(TagTable& table) : table_(table) {
  const std::scoped_lock guard(table_.mutex_);
  used_.assign(table_.next_, false);
  table_.begun_.store(0, std::memory_order_relaxed);
}

std::size_t TagTable::Sweep::finish() {
  const std::scoped_lock guard(table_.mutex_);
  std::size_t back = 0;
  for (auto at = table_.slots_.begin(); at != table_.slots_.end();) {
    if (at->second >= used_.size() || used_[at->second]) {
      ++at;
      continue;
    }
    table_.set(at->second, TagRecord::begin(detail::random_bits()));
    table_.free_.push_back(at->second);
    at = table_.slots_.erase(at);
    ++back;
  }
  table_.sweep_at_.store(std::max<std::size_t>(10'000, table_.slots_.size()), std::memory_order_relaxed);
  return back;
}

}  // namespace memory
}  // namespace v1
}  // namespace flux::cache
