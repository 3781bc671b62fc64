// flux/cache/result.hpp - an answer or an error; the shape of std::expected<T, Error>.
#pragma once
#include <flux/cache/error.hpp>

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace flux::cache {
inline namespace v1 {

/// Holds a `T`, or the `Error` that kept it from being. Moves only; testing it costs one load.
template <class T>
class Result {
 public:
  using value_type = T;

  Result(T value) : value_(std::move(value)) {}
  template <class U>
  requires(std::is_convertible_v<U&&, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
           !std::is_same_v<std::remove_cvref_t<U>, Error> && !std::is_same_v<std::remove_cvref_t<U>, Result>)
      Result(U&& value)
      : value_(std::forward<U>(value)) {}
  Result(Error error) : Result(std::make_unique<Error>(std::move(error))) {}
  explicit Result(std::unique_ptr<Error> error) : empty_(), error_(std::move(error)), holds_(false) {}
  Result(Result&& other) noexcept : empty_(), error_(std::move(other.error_)), holds_(other.holds_) {
    if (holds_) ::new (static_cast<void*>(std::addressof(value_))) T(std::move(other.value_));
  }
  Result& operator=(Result&& other) noexcept {
    if (this != &other) {
      this->~Result();
      ::new (static_cast<void*>(this)) Result(std::move(other));
    }
    return *this;
  }
  ~Result() {
    if (holds_) value_.~T();
  }

  bool ok() const noexcept { return error_ == nullptr; }
  explicit operator bool() const noexcept { return ok(); }

  /// The answer; throws the error's exception where there is none.
  T& value() & { return check(), value_; }
  const T& value() const& { return check(), value_; }
  T&& value() && { return check(), std::move(value_); }
  /// The answer, unchecked: only after `ok()`.
  T& operator*() & noexcept { return value_; }
  const T& operator*() const& noexcept { return value_; }
  T&& operator*() && noexcept { return std::move(value_); }
  T* operator->() noexcept { return std::addressof(value_); }
  const T* operator->() const noexcept { return std::addressof(value_); }
  template <class U>
  T value_or(U&& other) && {
    return ok() ? std::move(value_) : static_cast<T>(std::forward<U>(other));
  }

  /// The error: only where `!ok()`.
  const Error& error() const noexcept { return *error_; }
  Error& error() noexcept { return *error_; }
  /// Hands the error on to a result of another type.
  std::unique_ptr<Error> take_error() noexcept { return std::move(error_); }

 private:
  void check() const {
    if (!ok()) raise(*error_);
  }

  // Not a std::optional: there is one for each type of answer, in every file that includes this.
  union {
    T value_;
    char empty_;
  };
  std::unique_ptr<Error> error_;
  bool holds_ = true;
};

template <>
class Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::make_unique<Error>(std::move(error))) {}
  explicit Result(std::unique_ptr<Error> error) : error_(std::move(error)) {}

  bool ok() const noexcept { return error_ == nullptr; }
  explicit operator bool() const noexcept { return ok(); }
  void value() const {
    if (!ok()) raise(*error_);
  }
  const Error& error() const noexcept { return *error_; }
  Error& error() noexcept { return *error_; }
  std::unique_ptr<Error> take_error() noexcept { return std::move(error_); }

 private:
  std::unique_ptr<Error> error_;
};

}  // namespace v1
}  // namespace flux::cache
