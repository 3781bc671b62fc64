// Values above the servers' item limit, kept in parts.
#pragma once
#include <flux/cache/stores/memcached.hpp>

#include <memory>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

/// What lies above the item limit of `inner`, up to `most` bytes, is kept in parts under one random name, and under its
/// key stands the list of them. So parts of two writes never meet; what lacks a part is a miss.
std::shared_ptr<MemcachedStore> make_chunked(std::shared_ptr<MemcachedStore> inner, std::uint64_t most);

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
