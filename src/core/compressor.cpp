// core/compressor.cpp - the table of compressors.
#include <flux/cache/compressor.hpp>

namespace flux::cache {
inline namespace v1 {

Compressor::~Compressor() = default;

Result<const Compressor*> Compressor::with_dictionary(std::string_view) const {
  return Error{Errc::unsupported, std::string(name()) + " knows no dictionaries"};
}

Result<std::string> Compressor::train(std::span<const std::string_view>, std::size_t) const {
  return Error{Errc::unsupported, std::string(name()) + " knows no dictionaries"};
}

bool CompressorRegistry::add(const Compressor& compressor) {
  if (compressor.id() == 0 || compressor.name().empty()) return false;
  const Compressor* holder = find(compressor.name());
  if (holder != nullptr && holder != &compressor) return false;
  const Compressor* expected = nullptr;
  return by_id_[compressor.id()].compare_exchange_strong(expected, &compressor, std::memory_order_acq_rel) ||
         expected == &compressor;
}

const Compressor* CompressorRegistry::find(std::string_view name) const noexcept {
  for (const auto& slot : by_id_) {
    const Compressor* compressor = slot.load(std::memory_order_acquire);
    if (compressor != nullptr && compressor->name() == name) return compressor;
  }
  return nullptr;
}

CompressorRegistry& compressors() {
  static CompressorRegistry& registry = *[] {
    auto* made = new CompressorRegistry;
    detail::register_compressors(*made);
    return made;
  }();
  return registry;
}

}  // namespace v1
}  // namespace flux::cache
