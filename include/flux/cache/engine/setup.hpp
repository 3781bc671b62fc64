// flux/cache/engine/setup.hpp - how the engine's bounds are shared out among its shards.
#pragma once
#include <flux/cache/engine/options.hpp>
#include <flux/cache/engine/shard.hpp>

#include <algorithm>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace engine {

/// One shard below 4,096 items, so that the bound is exact; else one for about 2,048 items or 8 MiB, up to 64.
inline std::uint32_t shards_for(const Options& options) noexcept {
  std::uint64_t wanted = 64;
  if (options.max_items > 0) wanted = options.max_items < 4096 ? 1 : options.max_items / 2048;
  if (options.max_bytes > 0) wanted = std::min(wanted, options.max_bytes / (std::uint64_t{8} << 20));
  wanted = options.shards > 0 ? std::min(options.shards, 1024u) : std::min(wanted, std::uint64_t{64});
  std::uint32_t shards = 1;
  while (std::uint64_t{shards} * 2 <= wanted) shards *= 2;
  return shards;
}

inline Shard::Setup setup_of(const Options& options, std::uint32_t shards, std::uint32_t index,
                             Micros origin) noexcept {
  Shard::Setup setup{};
  const std::uint64_t items =
      options.max_items == 0 ? Shard::kUnbounded : options.max_items / shards + (index < options.max_items % shards);
  setup.max_items = static_cast<std::uint32_t>(std::clamp(items, std::uint64_t{1}, std::uint64_t{Shard::kUnbounded}));
  setup.max_bytes = options.max_bytes == 0 ? ~std::uint64_t{0} : options.max_bytes / shards;
  setup.policy = options.policy;
  setup.notes = options.listener.heard != nullptr;
  setup.buckets = options.max_items == 0 ? 256 : std::min(setup.max_items, 32'768u);
  setup.expected = options.max_items == 0 ? 256 : std::min(setup.max_items, 4096u);
  // Few enough not to weigh much beside the entries, enough to share the kernel's barriers among many writes.
  const std::uint32_t fewest = shards >= 8 ? 12 : 96 / shards;
  setup.batch = std::clamp(setup.max_items / 256, fewest, 256u);
  setup.origin = origin;
  return setup;
}

}  // namespace engine
}  // namespace v1
}  // namespace flux::cache
