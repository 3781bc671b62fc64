// The composites pass what their parts pass.
#include "compose.hpp"

namespace flux::cache::testing {
namespace {

const Parts kMemories{"Memories", {"memory", "memory", "memory"}};
const Parts kMixed{"MemoryAndFile", {"memory", "file"}};
const Parts kFiles{"Files", {"file", "file"}};

#define FLUX_CACHE_COMPOSITE(name, ...)                                                     \
  INSTANTIATE_TEST_SUITE_P(name, StoreContract, pipelines(of(__VA_ARGS__)), pipeline_name); \
  INSTANTIATE_TEST_SUITE_P(name, RepositoryContract, repositories(of(__VA_ARGS__)), repository_name)

FLUX_CACHE_COMPOSITE(ReplicatedMemories, kMemories, replicated);
FLUX_CACHE_COMPOSITE(ReplicatedMixed, kMixed, replicated);
FLUX_CACHE_COMPOSITE(ReplicatedFiles, kFiles, replicated, true);
FLUX_CACHE_COMPOSITE(ShardedMemories, kMemories, sharded);
FLUX_CACHE_COMPOSITE(ShardedFiles, kFiles, sharded, true);
FLUX_CACHE_COMPOSITE(PrimaryMixed, kMixed, primary);
FLUX_CACHE_COMPOSITE(TieredMemories, kMemories, tiered);
FLUX_CACHE_COMPOSITE(TieredMixed, kMixed, tiered);

}  // namespace
}  // namespace flux::cache::testing
