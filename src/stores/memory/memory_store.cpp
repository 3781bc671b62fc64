#include <flux/cache/stores/memory.hpp>
#include <flux/cache/testing/reference_store.hpp>

namespace flux::cache {
inline namespace v1 {

StorePtr make_memory(const MemoryConfig& config) { return testing::make_reference({.clock = config.clock}); }

}  // namespace v1
}  // namespace flux::cache
