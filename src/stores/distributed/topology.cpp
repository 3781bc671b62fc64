#include "topology.hpp"

#include <flux/cache/type_of.hpp>

#include <algorithm>
#include <charconv>

namespace flux::cache {
inline namespace v1 {
namespace distributed {

Topology::Topology(const std::string& name, std::uint64_t shape, const std::vector<composite::Part>& parts)
    : record_(std::string("\0flux topology ", 15) + name),
      shape_(shape),
      parts_(parts),
      states_(parts.size()),
      unswept_(parts.size()) {}

Result<Topology::Record> Topology::read(std::size_t part) const {
  Record record;
  auto there = parts_[part]->get(Key(record_, Space::tags), {.as = &type_of<std::string>()}, [&](const Entry& entry) {
    const std::string_view text = entry.value.text;
    const char* const end = text.data() + text.size();
    auto at = std::from_chars(text.data(), end, record.change);
    if (at.ptr != end) at = std::from_chars(at.ptr + 1, end, record.shape);
    record.swept = at.ptr == end;
  });
  if (!there.ok()) return Result<Record>(there.take_error());
  return record;
}

Result<void> Topology::write(std::size_t part, bool swept) const {
  const std::string text = std::to_string(change_) + ' ' + std::to_string(shape_) + (swept ? "" : " unswept");
  auto written =
      parts_[part]->put(Key(record_, Space::tags), {.value = {.kind = Kind::text, .text = text}, .expiry = {}}, {});
  return written.ok() ? Result<void>() : Result<void>(written.take_error());
}

Result<void> Topology::settle(std::size_t part) {
  const std::scoped_lock guard(settling_);
  if (states_[part].load(std::memory_order_relaxed) == State::ready) return {};
  if (change_ != 0) {
    auto found = read(part);
    return found.ok() ? join(part, *found) : Result<void>(found.take_error());
  }
  std::vector<std::optional<Record>> found(parts_.size());
  std::unique_ptr<Error> mine;
  const bool apart = std::any_of(parts_.begin(), parts_.end(), [](const auto& one) { return !one.is_private(); });
  composite::fan_out(parts_.size(), apart, [&](std::size_t i) {
    auto record = read(i);
    if (record.ok())
      found[i] = *record;
    else if (i == part)
      mine = record.take_error();
  });
  if (mine) return Result<void>(std::move(mine));
  begin(found);
  Result<void> answer;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!found[i]) continue;
    auto joined = join(i, *found[i]);
    if (i == part) answer = std::move(joined);
  }
  return answer;
}

/// Finds the number of the change that this set of stores belongs to.
void Topology::begin(const std::vector<std::optional<Record>>& found) {
  std::uint64_t newest = 0;
  bool is_ours = false;
  for (const auto& record : found)
    if (record && record->change >= newest) {
      is_ours = record->shape == shape_ || (record->change == newest && is_ours);
      newest = record->change;
    }
  if (newest != 0 && is_ours) {
    change_ = newest;
    return;
  }
  change_ = newest + 1;
  before_ = newest;
}

Result<void> Topology::join(std::size_t part, const Record& found) {
  const auto be_ready = [&] { states_[part].store(State::ready, std::memory_order_release); };
  if (found.change == change_ && found.shape == shape_) {
    unswept_[part] = !found.swept;
    return be_ready(), Result<void>();
  }
  const bool first_of_all = change_ == 1;
  const bool stayed = before_ != 0 && found.change == before_ && found.swept;
  if (!first_of_all && !stayed) {
    auto flushed = parts_[part]->flush({});
    if (!flushed.ok()) return flushed;
  }
  auto written = write(part, !stayed);
  if (!written.ok()) return written;
  unswept_[part] = stayed;
  return be_ready(), Result<void>();
}

std::vector<std::size_t> Topology::unswept() const {
  std::vector<std::size_t> parts;
  for (std::size_t i = 0; i < unswept_.size(); ++i)
    if (unswept_[i].load(std::memory_order_relaxed)) parts.push_back(i);
  return parts;
}

void Topology::swept(std::size_t part) {
  const std::scoped_lock guard(settling_);
  if (write(part, true).ok()) unswept_[part] = false;
}

}  // namespace distributed
}  // namespace v1
}  // namespace flux::cache
