// core/format.cpp - the table of formats, and what all formats do alike.
#include <flux/cache/format.hpp>
#include <flux/cache/type_of.hpp>

#include <new>

namespace flux::cache {
inline namespace v1 {

Format::~Format() = default;

/// A list that only grows at its head, and is freed with the table, so that readers need no lock.
struct FormatRegistry::Named {
  std::string name;
  const Format* format;
  const Named* next;
};

FormatRegistry::~FormatRegistry() {
  for (const Named* at = names_.load(std::memory_order_relaxed); at != nullptr;) {
    const Named* next = at->next;
    delete at;
    at = next;
  }
}

const Format* FormatRegistry::find(std::string_view name) const noexcept {
  for (const Named* at = names_.load(std::memory_order_acquire); at != nullptr; at = at->next) {
    if (at->name == name) return at->format;
  }
  return nullptr;
}

bool FormatRegistry::add(const Format& format, std::initializer_list<std::string_view> aliases) {
  const auto is_free = [&](std::string_view name) {
    const Format* holder = find(name);
    return !name.empty() && (holder == nullptr || holder == &format);
  };
  if (format.id() == 0 || !is_free(format.name())) return false;
  for (const std::string_view alias : aliases) {
    if (!is_free(alias)) return false;
  }
  const Format* expected = nullptr;
  if (!by_id_[format.id()].compare_exchange_strong(expected, &format, std::memory_order_acq_rel) &&
      expected != &format) {
    return false;
  }
  const auto add_name = [&](std::string_view name) {
    if (find(name) != nullptr) return;
    auto* named = new Named{std::string(name), &format, names_.load(std::memory_order_relaxed)};
    while (!names_.compare_exchange_weak(named->next, named, std::memory_order_acq_rel)) {
    }
  };
  add_name(format.name());
  for (const std::string_view alias : aliases) add_name(alias);
  return true;
}

FormatRegistry& formats() {
  static FormatRegistry& registry = *[] {
    auto* made = new FormatRegistry;
    detail::register_formats(*made);
    return made;
  }();
  return registry;
}

namespace detail {

Error not_serializable(const Type& type) {
  return {.code = Errc::not_serializable,
          .message = "the type " + std::string(type.name) +
                     " cannot be written; list its fields with FLUX_CACHE_FIELDS or specialise flux::cache::Codec"};
}

Result<void> run_save(const Type& type, const void* object, Writer& out) {
  if (type.save == nullptr) return not_serializable(type);
  try {
    type.save(object, out);
  } catch (const std::bad_alloc&) {
    return Error{.code = Errc::too_large, .message = "out of memory while writing " + std::string(type.name)};
  } catch (const std::exception& thrown) {
    return Error{.code = Errc::not_serializable, .message = "writing " + std::string(type.name) + ": " + thrown.what()};
  } catch (...) {
    return Error{.code = Errc::not_serializable, .message = "writing " + std::string(type.name) + " threw"};
  }
  if (out.failed()) return walk_error(out);
  return {};
}

/// What throws is a codec of the program's own: the bytes may well be good, and another build may read them. So it is
/// no damage, which a store would remove.
Result<std::shared_ptr<void>> run_load(const Type& type, Reader& in) {
  if (type.load == nullptr) return not_serializable(type);
  try {
    return type.load(in);
  } catch (const std::bad_alloc&) {
    return Error{.code = Errc::too_large, .message = "out of memory while reading " + std::string(type.name)};
  } catch (const std::exception& thrown) {
    if (in.failed()) return walk_error(in);
    return Error{.code = Errc::schema, .message = "reading " + std::string(type.name) + ": " + thrown.what()};
  } catch (...) {
    if (in.failed()) return walk_error(in);
    return Error{.code = Errc::schema, .message = "reading " + std::string(type.name) + " threw"};
  }
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
