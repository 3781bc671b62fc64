// What a child of fork must not find half-way: locks, sockets, threads that it does not have.
#pragma once

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Between `enlist` and `delist`, each fork of the process has `try_before_fork`, until it and all others agree, and
/// then, in either process, `after_fork`. None of them may allocate, wait, or enlist others.
class ForkGuard {
 public:
  ForkGuard() = default;
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  /// Takes what must be whole. False: somebody has it, and may be waiting for another guard's: so all are given up by
  /// `after_fork(false)`, and tried again.
  virtual bool try_before_fork() noexcept = 0;
  virtual void after_fork(bool in_child) noexcept = 0;

 protected:
  ~ForkGuard() = default;
  void enlist();
  void delist() noexcept;

 private:
  friend struct Forks;
  ForkGuard* next_ = nullptr;
  ForkGuard* previous_ = nullptr;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
