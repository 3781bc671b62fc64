#include "composite_store.hpp"

#include <flux/cache/clock.hpp>
#include <flux/cache/type.hpp>

#include <algorithm>

#include "core/notes.hpp"
#include "core/random.hpp"

namespace flux::cache {
inline namespace v1 {
namespace composite {

namespace {

/// A fill that dies leaves its placeholder for so long.
constexpr Duration kFillLease = std::chrono::seconds(5);

}  // namespace

CompositeStore::CompositeStore(std::vector<StorePtr> parts, const CompositeOptions& options) : options_(options) {
  if (parts.empty()) raise(Error{Errc::bad_config, "a composite needs at least one store"});
  for (StorePtr& part : parts) {
    if (part == nullptr) raise(Error{Errc::bad_config, "a composite was given no store where it needs one"});
    parts_.emplace_back(std::move(part));
  }
  if (options_.authority >= parts_.size())
    raise(Error{Errc::bad_config, "the authority is none of the composite's stores"});
  if (options_.clock == nullptr) options_.clock = &system_clock();
  traits_ = {.kind = options.kind, .objects = true, .tags = true};
  traits_.grain = Duration(1);
  traits_.shared = true;
  for (const Part& part : parts_) {
    if (!part.traits.tags)
      raise(Error{Errc::unsupported, "a composite needs stores that understand tags; put `make_tagged` over them"});
    traits_.objects = traits_.objects && part.traits.objects;
    traits_.shared = traits_.shared && part.traits.shared;
    traits_.persistent = traits_.persistent || part.traits.persistent;
    traits_.grain = std::max(traits_.grain, part.traits.grain);
    traits_.max_value_bytes = std::min(traits_.max_value_bytes, part.traits.max_value_bytes);
    apart_ = apart_ || !part.is_private();
    any_shared_ = any_shared_ || part.traits.shared;
  }
  if (options.max_value != 0) traits_.max_value_bytes = std::min(traits_.max_value_bytes, options.max_value);
}

Result<void> CompositeStore::check(const Key& key, const Entry& entry) const {
  if (options_.max_value == 0) return {};
  std::size_t size = entry.value.text.size();
  if (entry.value.kind == Kind::object && entry.value.type->weigh != nullptr)
    size = entry.value.type->weigh(entry.value.object->get());
  if (size <= options_.max_value) return {};
  return Error{Errc::too_large, "the value is larger than max_value, " + std::to_string(options_.max_value) + " bytes",
               std::string(options_.kind), "put", std::string(key.text())};
}

bool CompositeStore::has_other_spaces(std::span<const Key> keys) noexcept {
  return std::any_of(keys.begin(), keys.end(), [](const Key& key) { return key.space() != Space::values; });
}

Result<std::vector<std::uint64_t>> CompositeStore::epochs(std::span<const std::string_view> tags) {
  std::vector<std::vector<std::uint64_t>> all(tags.size(), std::vector<std::uint64_t>(parts_.size()));
  std::vector<std::unique_ptr<Error>> errors(parts_.size());
  fan_out(parts_.size(), apart(), [&](std::size_t part) {
    auto of_part = parts_[part]->epochs(tags);
    if (!of_part.ok()) {
      errors[part] = of_part.take_error();
      return;
    }
    for (std::size_t tag = 0; tag < tags.size(); ++tag) all[tag][part] = (*of_part)[tag];
  });
  if (std::all_of(errors.begin(), errors.end(), [](const auto& error) { return error != nullptr; }))
    return Result<std::vector<std::uint64_t>>(std::move(errors.front()));
  std::vector<std::uint64_t> numbers;
  for (auto& of_tag : all) numbers.push_back(book_.enter(std::move(of_tag)));
  return numbers;
}

Result<std::size_t> CompositeStore::prune(std::size_t budget) {
  std::size_t sum = 0;
  std::size_t most = 0;
  std::unique_ptr<Error> error;
  for (const Part& part : parts_) {
    auto pruned = part->prune(budget);
    if (pruned.ok())
      sum += *pruned, most = std::max(most, *pruned);
    else if (!error)
      error = pruned.take_error();
  }
  const std::size_t gone = options_.copies ? most : sum;  // an entry on several parts went once
  return error ? Result<std::size_t>(std::move(error)) : Result<std::size_t>(gone);
}

bool is_placeholder(const Entry& entry) noexcept {
  return entry.value.kind == Kind::none && detail::Notes::decode(entry.notes).placeholder;
}

bool fill_under_ticket(Store& to, const Key& key, const Clock& clock, std::optional<Duration> cap,
                       detail::FunctionRef<bool(Receiver)> source) {
  const std::uint64_t token = detail::random_bits();
  const std::string notes = detail::Notes{.placeholder = true, .token = token}.encode();
  auto placed =
      to.put(key, {.expiry = {Instant{}, after(clock.now(), kFillLease)}, .notes = notes}, {When::unchanged, 0});
  if (!placed.ok() || !*placed) return false;
  std::uint64_t version = 0;
  auto there = to.get(key, {.stale = true}, [&](const Entry& entry) {
    if (detail::Notes::decode(entry.notes).token == token) version = entry.version;
  });
  if (!there.ok() || version == 0) return false;

  EntryCopy copy;
  const auto take = [&](const Entry& entry) { copy = EntryCopy(entry); };
  bool alive = source(take) && is_portable(copy.view().value);
  std::vector<TagStamp> stamps;
  std::vector<std::string> names;
  if (alive && !copy.view().tags.empty()) {
    // The epochs first, then the look that shows the source alive.
    std::vector<std::string_view> views;
    for (const TagStamp& tag : copy.view().tags) names.emplace_back(tag.name);
    views.assign(names.begin(), names.end());
    auto epochs = to.epochs(views);
    alive = epochs.ok() && source(take) && is_portable(copy.view().value) && copy.view().tags.size() == names.size();
    for (std::size_t i = 0; alive && i < names.size(); ++i) {
      alive = copy.view().tags[i].name == names[i];
      stamps.push_back({names[i], (*epochs)[i]});
    }
  }
  if (!alive) {
    (void)to.forget(key, {version});
    return false;
  }
  Entry entry = copy.view();
  entry.tags = stamps;
  if (cap) {
    const Instant end = after(clock.now(), *cap);
    entry.expiry = {std::min(entry.expiry.fresh_until, end), entry.expiry.fresh_until};
  }
  auto written = to.put(key, entry, {When::unchanged, version});
  if (written.ok() && *written) return true;
  if (!written.ok()) (void)to.forget(key, {version});
  return false;
}

}  // namespace composite
}  // namespace v1
}  // namespace flux::cache
