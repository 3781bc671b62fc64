#include <flux/cache/entry.hpp>

namespace flux::cache {
inline namespace v1 {

EntryCopy::EntryCopy() = default;

EntryCopy::EntryCopy(const Entry& entry)
    : value_(entry.value), expiry_(entry.expiry), notes_(entry.notes), version_(entry.version) {
  for (const TagStamp& tag : entry.tags) names_.emplace_back(tag.name), epochs_.push_back(tag.epoch);
  for (std::size_t i = 0; i < names_.size(); ++i) stamps_.push_back({names_[i], epochs_[i]});
}

EntryCopy::EntryCopy(EntryCopy&&) noexcept = default;
EntryCopy& EntryCopy::operator=(EntryCopy&&) noexcept = default;
EntryCopy::~EntryCopy() = default;

}  // namespace v1
}  // namespace flux::cache
