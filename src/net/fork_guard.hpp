// Who owns sockets or locks that must not be found half-way by a child of fork.
#pragma once

namespace flux::cache {
inline namespace v1 {
namespace detail::net {

/// Between `enlist` and `delist`, each fork of the process calls `before_fork`, and then, in either process,
/// `after_fork`. None of them may allocate, wait long, or enlist others.
class ForkGuard {
 public:
  ForkGuard() = default;
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  virtual void before_fork() noexcept = 0;
  virtual void after_fork(bool in_child) noexcept = 0;

 protected:
  ~ForkGuard() = default;
  void enlist();
  void delist() noexcept;

 private:
  friend struct ForkGuards;
  ForkGuard* next_ = nullptr;
  ForkGuard* previous_ = nullptr;
};

}  // namespace detail::net
}  // namespace v1
}  // namespace flux::cache
