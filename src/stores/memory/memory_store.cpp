#include "memory_store.hpp"

#include <algorithm>

#include "core/decode.hpp"
#include "core/notes.hpp"
#include "core/random.hpp"
#include "shown.hpp"

namespace flux::cache {
inline namespace v1 {
namespace memory {

namespace {

constexpr std::size_t kMaxRules = 16;

engine::Options options_of(const MemoryConfig& config, const MemoryConfig& lasting) {
  engine::Options options;
  options.max_items = config.max_size;
  options.max_bytes = config.max_bytes;
  options.policy = config.policy == "lru" ? engine::Policy::lru
                                          : (config.policy == "fifo" ? engine::Policy::fifo : engine::Policy::adaptive);
  options.clock = config.clock == &system_clock() ? nullptr : config.clock;
  if (lasting.on_removal) {
    options.listener.context = const_cast<MemoryConfig*>(&lasting);
    options.listener.heard = [](void* context, const engine::Removal& removal) {
      static_cast<const MemoryConfig*>(context)->on_removal(removal.key, static_cast<RemovalCause>(removal.cause));
    };
  }
  return options;
}

Error refused(const Key& key, const char* operation) {
  return {Errc::too_large,
          "the entry is larger than the bounds of the store allow",
          {},
          operation,
          std::string(key.text())};
}

}  // namespace

MemoryStore::MemoryStore(const MemoryConfig& config) : config_(config), values_(options_of(config, config_)) {
  engine::Options unbounded;
  unbounded.shards = 4;
  unbounded.clock = config.clock == &system_clock() ? nullptr : config.clock;
  for (auto& other : others_) other = std::make_unique<engine::Engine>(unbounded);
}

Traits MemoryStore::traits() const noexcept { return {.kind = "memory", .objects = true, .tags = true}; }

bool MemoryStore::is_alive(const engine::View& view) const {
  const std::string_view block = view.labels();
  if (block.empty()) [[likely]]
    return true;
  const Labels labels(block);
  return tags_.spares(labels.marks(), labels.count());
}

const engine::View* MemoryStore::kept(const engine::View* view) const {
  return view != nullptr && is_alive(*view) ? view : nullptr;
}

const engine::View* MemoryStore::fresh(const engine::View* view) const {
  return view != nullptr && view->is_fresh() ? kept(view) : nullptr;
}

// --- reading, where it is no plain hit: see reading.cpp

/// `get` where some entries are still frames, which the first reader turns into objects.
Result<bool> MemoryStore::get_decoding(const Key& key, const Read& how, Receiver found) {
  bool there = false;
  std::optional<EntryCopy> frame;
  engine_of(key.space()).visit(key.text(), key.hash(), [&](const engine::View& view) {
    if (!how.stale && !view.is_fresh()) return;
    if (view.user_kind() == static_cast<std::uint8_t>(Kind::bytes)) {
      there = is_alive(view);
      if (there) hand_over(view, [&](const Entry& entry) { frame.emplace(entry); });
    } else if (!view.has_labels()) [[likely]] {
      there = true;
      found(plain(view));
    } else {
      there = hand_over_alive(view, found);
    }
  });
  if (frame) return get_decoded(key, how, frame->view(), found);
  if (!there && how.stale && key.space() == Space::values && reservations_.any()) return get_reserved(key, found);
  return there;
}

/// A frame of a snapshot, for who reads it with a type. The object takes the frame's place.
Result<bool> MemoryStore::get_decoded(const Key& key, const Read& how, const Entry& frame, Receiver found) {
  EntryCopy object;
  auto decoded = detail::decode_view(frame.value, *how.as, {}, [&](const ValueView& value) {
    Entry live = frame;
    live.value = value;
    found(live);
    if (value.kind == Kind::object) object = EntryCopy(live);
  });
  if (!decoded.ok()) {
    if (decoded.error().code == Errc::corrupt) (void)forget(key, {frame.version});
    return Result<bool>(decoded.take_error());
  }
  if (object.view().value.kind == Kind::object) (void)put(key, object.view(), {When::unchanged, frame.version});
  return true;
}

bool MemoryStore::get_reserved(const Key& key, Receiver found) {
  std::optional<Reservation> copy;
  reservations_.with(key, [&](Reservation* reserved) {
    if (reserved == nullptr) return 'k';
    const Labels labels(reserved->labels);
    if (!reserved->expiry.is_kept(engine::to_instant(values_.now().exact())) ||
        !tags_.spares(labels.marks(), labels.count()))
      return 'd';
    copy = *reserved;
    return 'k';
  });
  if (!copy) return false;
  const Labels labels(copy->labels);
  std::vector<TagStamp> stamps;
  for (std::size_t i = 0; i < labels.count(); ++i) stamps.push_back({labels.marks()[i].name, labels.marks()[i].epoch});
  found({.expiry = copy->expiry, .tags = stamps, .notes = labels.notes(), .version = copy->version});
  return true;
}

Result<bool> MemoryStore::has(const Key& key) {
  bool there = false;
  engine_of(key.space()).visit(key.text(), key.hash(), [&](const engine::View& view) {
    there = view.is_fresh() && is_alive(view);
  });
  return there;
}

Result<void> MemoryStore::get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) {
  std::vector<engine::Probe> probes;
  std::vector<std::size_t> places;
  probes.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].space() != Space::values || (how.stale && reservations_.any()) ||
        decodes_.load(std::memory_order_relaxed)) {
      auto there = get(keys[i], how, [&](const Entry& entry) { found(i, entry); });
      if (!there.ok()) found.unreadable(i, there.take_error());
      continue;
    }
    probes.push_back({keys[i].text(), keys[i].hash()});
    if (probes.size() != i + 1 || !places.empty()) {
      while (places.size() + 1 < probes.size()) places.push_back(places.size());
      places.push_back(i);
    }
  }
  values_.visit_many(probes, [&](std::size_t i, const engine::View& view) {
    if ((!how.stale && !view.is_fresh()) || !is_alive(view)) return;
    const std::size_t at = places.empty() ? i : places[i];
    hand_over(view, [&](const Entry& entry) { found(at, entry); });
  });
  return {};
}

// --- writing

std::string MemoryStore::labels_of(const Entry& entry) {
  if (entry.tags.empty() && entry.notes.empty()) [[likely]]
    return {};
  std::vector<TagMark> marks;
  marks.reserve(entry.tags.size());
  for (const TagStamp& tag : entry.tags) {
    TagMark mark = tags_.mark(tag.name);
    if (tag.epoch != 0) mark.epoch = tag.epoch;
    marks.push_back(mark);
  }
  return pack_labels(marks.data(), marks.size(), entry.notes);
}

/// False: the value is larger than `max_value`.
[[gnu::always_inline]] inline bool MemoryStore::draft(const Entry& entry, Written& out) {
  switch (entry.value.kind) {
    case Kind::none:
    case Kind::text:
    case Kind::bytes:
      out.draft.text = entry.value.text;
      // A frame with a type is one of a snapshot: nobody stands above to decode it.
      if (entry.value.type != nullptr) decodes_.store(true, std::memory_order_relaxed);
      break;
    case Kind::integer:
    case Kind::unsigned_integer:
      out.draft.kind = engine::Kind::integer;
      out.draft.integer = entry.value.number;
      break;
    case Kind::object: out.draft = engine::Draft::of(*entry.value.object, *entry.value.type); break;
  }
  if (config_.max_value != 0 && entry.value.text.size() + out.draft.weight > config_.max_value) return false;
  out.draft.user_kind = static_cast<std::uint8_t>(entry.value.kind);
  out.draft.until(entry.expiry.fresh_until, entry.expiry.keep_until);
  if (!entry.tags.empty() || !entry.notes.empty()) [[unlikely]] {
    out.labels = labels_of(entry);
    out.draft.labels = out.labels;
  }
  return true;
}

Error MemoryStore::over_max_value() const {
  return {Errc::too_large, "the value is larger than max_value, " + std::to_string(config_.max_value) + " bytes"};
}

Result<bool> MemoryStore::put(const Key& key, const Entry& entry, const Write& how) {
  if (how.when != When::always) return put_if(key, entry, how);
  Written out;
  if (!draft(entry, out)) return over_max_value();
  const bool fits = engine_of(key.space()).put(key.text(), key.hash(), out.draft);
  written(key);
  if (tags_.wants_sweep()) [[unlikely]]
    sweep_behind();
  return fits ? Result<bool>(true) : refused(key, "put");
}

Result<bool> MemoryStore::put_if(const Key& key, const Entry& entry, const Write& how) {
  const bool placeholder = entry.value.kind == Kind::none && key.space() == Space::values &&
                           how.when == When::unchanged && detail::Notes::decode(entry.notes).placeholder;
  if (placeholder) return reserve(key, entry, how);
  Written out;
  if (!draft(entry, out)) return over_max_value();
  if (how.when == When::unchanged && (how.version >> 63) != 0) return fulfil(key, out.draft, how.version);
  if (how.when == When::unchanged && how.version == 0 && key.space() == Space::values && reservations_.any() &&
      get_reserved(key, [](const Entry&) {}))
    return false;
  bool agreed = false;
  const auto outcome = engine_of(key.space()).update(key.text(), key.hash(), [&](const engine::View* view) {
    switch (how.when) {
      case When::always: agreed = true; break;
      case When::absent: agreed = fresh(view) == nullptr; break;
      case When::present: agreed = fresh(view) != nullptr; break;
      case When::unchanged:
        view = kept(view);
        agreed = view != nullptr ? view->version() == how.version : how.version == 0;
        break;
    }
    return agreed ? engine::Change::write(out.draft) : engine::Change::keep();
  });
  if (!agreed) return false;
  written(key);
  return outcome == engine::Outcome::done ? Result<bool>(true) : refused(key, "put");
}

/// A placeholder goes beside the engine; its version has the top bit, which the engine's never have.
Result<bool> MemoryStore::reserve(const Key& key, const Entry& entry, const Write& how) {
  Reservation made{detail::random_bits() | (std::uint64_t{1} << 63), entry.expiry, labels_of(entry)};
  return reservations_.place(key, std::move(made), [&](Reservation* old) {
    if (old != nullptr && old->expiry.is_kept(engine::to_instant(values_.now().exact()))) {
      const Labels labels(old->labels);
      if (tags_.spares(labels.marks(), labels.count())) return old->version == how.version;
    }
    bool occupied = false;
    values_.update(key.text(), key.hash(), [&](const engine::View* view) {
      occupied = kept(view) != nullptr;
      return view != nullptr && !occupied ? engine::Change::remove(engine::Cause::flushed) : engine::Change::keep();
    });
    return !occupied && how.version == 0;
  });
}

/// Writes over a placeholder that still stands.
Result<bool> MemoryStore::fulfil(const Key& key, const engine::Draft& draft, std::uint64_t version) {
  Result<bool> answer = false;
  reservations_.with(key, [&](Reservation* reserved) {
    if (reserved == nullptr || reserved->version != version) return 'k';
    const Labels labels(reserved->labels);
    if (!reserved->expiry.is_kept(engine::to_instant(values_.now().exact())) ||
        !tags_.spares(labels.marks(), labels.count()))
      return 'd';
    bool vacant = false;
    const auto outcome = values_.update(key.text(), key.hash(), [&](const engine::View* view) {
      vacant = kept(view) == nullptr;
      return vacant ? engine::Change::write(draft) : engine::Change::keep();
    });
    if (vacant) answer = outcome == engine::Outcome::done ? Result<bool>(true) : Result<bool>(refused(key, "put"));
    return 'd';
  });
  return answer;
}

Result<bool> MemoryStore::touch(const Key& key, const Expiry& expiry) {
  bool there = false;
  engine_of(key.space()).update(key.text(), key.hash(), [&](const engine::View* view) {
    there = fresh(view) != nullptr;
    return there ? engine::Change::retime(expiry.fresh_until, expiry.keep_until) : engine::Change::keep();
  });
  return there;
}

Result<std::int64_t> MemoryStore::increment(const Key& key, std::int64_t by, const Entry& if_new) {
  Entry initial = if_new;
  initial.value = {.kind = Kind::integer, .number = by};
  Written first;
  if (!draft(initial, first)) return over_max_value();
  Result<std::int64_t> answer = by;
  engine::Draft changed;
  const auto outcome = engine_of(key.space()).update(key.text(), key.hash(), [&](const engine::View* view) {
    view = fresh(view);
    if (view == nullptr) return engine::Change::write(first.draft);
    hand_over(*view, [&](const Entry& entry) { answer = detail::add_to_counter(entry.value, by); });
    if (!answer.ok()) return engine::Change::keep();
    if (view->kind() == engine::Kind::integer) return engine::Change::count(*answer);
    changed = engine::Draft::of(*answer);
    changed.until(view->fresh_until(), view->keep_until());
    changed.user_kind = static_cast<std::uint8_t>(Kind::integer);
    first.labels = view->labels();
    changed.labels = first.labels;
    return engine::Change::write(changed);
  });
  written(key);
  if (outcome == engine::Outcome::refused) return refused(key, "increment");
  return answer;
}

// --- removing

Result<bool> MemoryStore::forget(const Key& key, const Forget& how) {
  bool was_fresh = false;
  bool matched = false;
  if (how.version == 0) written(key);  // first, as in `pull`
  engine_of(key.space()).update(key.text(), key.hash(), [&](const engine::View* view) {
    if (how.version != 0 && (kept(view) == nullptr || view->version() != how.version)) return engine::Change::keep();
    was_fresh = fresh(view) != nullptr;
    matched = view != nullptr;
    return matched ? engine::Change::remove() : engine::Change::keep();
  });
  if (how.version != 0 && !matched && key.space() == Space::values && reservations_.any())
    reservations_.with(key, [&](Reservation* reserved) {
      return matched = reserved != nullptr && reserved->version == how.version, matched ? 'd' : 'k';
    });
  return was_fresh;
}

Result<bool> MemoryStore::pull(const Key& key, const Read& how, Receiver found) {
  EntryCopy copy;
  bool there = false;
  written(key);  // first: a load that is just ending must find its placeholder gone, or its value is removed below
  engine_of(key.space()).update(key.text(), key.hash(), [&](const engine::View* view) {
    if (view == nullptr) return engine::Change::keep();
    there = fresh(view) != nullptr;
    if (there) hand_over(*view, [&](const Entry& entry) { copy = EntryCopy(entry); });
    return engine::Change::remove();
  });
  if (!there) return false;
  const Entry entry = copy.view();
  if (entry.value.kind != Kind::bytes || how.as == nullptr || !decodes_.load(std::memory_order_relaxed))
    return found(entry), true;
  auto decoded = detail::decode_view(entry.value, *how.as, {}, [&](const ValueView& value) {
    Entry live = entry;
    live.value = value;
    found(live);
  });
  return decoded.ok() ? Result<bool>(true) : Result<bool>(decoded.take_error());
}

Result<void> MemoryStore::flush(const Scope& scope) {
  if (!scope.tags.empty()) {
    tags_.flush(scope, kMaxRules);
    return {};
  }
  reservations_.clear();  // first, as in `pull`
  values_.clear();
  return {};
}

Result<std::vector<std::uint64_t>> MemoryStore::epochs(std::span<const std::string_view> tags) {
  std::vector<std::uint64_t> epochs;
  for (const std::string_view tag : tags) epochs.push_back(tags_.mark(tag).epoch);
  return epochs;
}

// --- walking

Result<void> MemoryStore::scan(Space space, Visitor visit) {
  bool go_on = true;
  engine_of(space).for_each([&](const engine::View& view) {
    if (!go_on || !is_alive(view)) return;
    hand_over(view, [&](const Entry& entry) { go_on = visit(view.key(), entry); });
  });
  return {};
}

}  // namespace memory

StorePtr make_memory(const MemoryConfig& config) { return std::make_shared<memory::MemoryStore>(config); }

}  // namespace v1
}  // namespace flux::cache
