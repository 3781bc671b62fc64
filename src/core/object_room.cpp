// The block of a shared object: the count first, the object behind it.
#include <flux/cache/detail/object_room.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

/// Bytes kept for the count; what the standard library really takes is checked where it asks.
constexpr std::size_t kCount = 48;

std::size_t offset_of(std::size_t alignment) noexcept { return (kCount + alignment - 1) / alignment * alignment; }

bool is_usual(std::size_t alignment) noexcept { return alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__; }

void* take_block(std::size_t size, std::size_t alignment) {
  return is_usual(alignment) ? ::operator new(size) : ::operator new(size, std::align_val_t(alignment));
}

void give_block(void* block, std::size_t alignment) noexcept {
  if (is_usual(alignment))
    ::operator delete(block);
  else
    ::operator delete(block, std::align_val_t(alignment));
}

struct Destroy {
  void (*destroy)(void*);
  void operator()(void* object) const noexcept {
    if (destroy != nullptr) destroy(object);
  }
};

/// Puts the count where room was left for it, and gives the whole block back in its place.
template <class T>
struct InBlock {
  using value_type = T;

  void* block;
  std::size_t alignment;

  InBlock(void* block_of_object, std::size_t alignment_of_object) noexcept
      : block(block_of_object), alignment(alignment_of_object) {}
  template <class U>
  InBlock(const InBlock<U>& other) noexcept : block(other.block), alignment(other.alignment) {}

  T* allocate(std::size_t) noexcept {
    static_assert(sizeof(T) <= kCount && alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return static_cast<T*>(block);
  }
  void deallocate(T*, std::size_t) noexcept { give_block(block, alignment); }
  friend bool operator==(const InBlock& a, const InBlock& b) noexcept { return a.block == b.block; }
};

}  // namespace

ObjectRoom::ObjectRoom(std::size_t size, std::size_t alignment)
    : block_(take_block(offset_of(alignment) + size, alignment)),
      alignment_(alignment),
      place_(static_cast<char*>(block_) + offset_of(alignment)) {}

ObjectRoom::~ObjectRoom() {
  if (block_ != nullptr) give_block(block_, alignment_);
}

std::shared_ptr<void> ObjectRoom::close(void (*destroy)(void*)) noexcept {
  return std::shared_ptr<void>(place_, Destroy{destroy}, InBlock<char>(std::exchange(block_, nullptr), alignment_));
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
