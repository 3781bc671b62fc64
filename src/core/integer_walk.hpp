// core/integer_walk.hpp - a document that is one whole number.
#pragma once
#include <flux/cache/integer.hpp>
#include <flux/cache/serial.hpp>

namespace flux::cache {
inline namespace v1 {
namespace detail {

/// Hands one number to a type's `load`, which checks the range.
class IntegerReader final : public Reader {
 public:
  explicit IntegerReader(Integer number) : Reader(Abilities{.positional = true, .any_key = true}, 1), number_(number) {}

  std::int64_t integer() override {
    if (!number_.fits_signed()) mismatch();
    return number_.bits;
  }
  std::uint64_t natural() override {
    if (!number_.fits_unsigned()) mismatch();
    return static_cast<std::uint64_t>(number_.bits);
  }

  Token peek() override { return Token::nothing; }
  bool present() override { return mismatch() != 0; }
  bool boolean() override { return mismatch() != 0; }
  double number() override { return mismatch(); }
  float number32() override { return static_cast<float>(mismatch()); }
  std::string_view text() override { return mismatch(), std::string_view(); }
  std::string_view bytes() override { return mismatch(), std::string_view(); }
  bool begin_numbers(NumberKind, std::size_t& count) override { return count = 0, mismatch() != 0; }
  void take_numbers(void*, std::size_t) override { mismatch(); }
  std::size_t begin_array() override { return mismatch(), 0; }
  std::size_t begin_map() override { return mismatch(), 0; }
  std::string_view key() override { return mismatch(), std::string_view(); }
  bool begin_object(FieldNames) override { return mismatch() != 0; }
  std::size_t next_field(FieldNames fields, std::size_t) override { return mismatch(), fields.count; }
  void end_object() override { mismatch(); }

 protected:
  bool more(bool) override { return mismatch() != 0; }
  std::size_t left() const noexcept override { return 0; }

 private:
  int mismatch() {
    fail(Errc::wrong_type, "a whole number is no value of this type, or does not fit into it");
    return 0;
  }

  Integer number_;
};

/// Takes one number from a type's `save`.
class IntegerWriter final : public Writer {
 public:
  IntegerWriter() : Writer(Abilities{.positional = true, .any_key = true}, 1) {}
  Integer number() const noexcept { return number_; }

  void integer(std::int64_t value) override { number_ = {value, false}; }
  void natural(std::uint64_t value) override {
    number_ = {static_cast<std::int64_t>(value), static_cast<std::int64_t>(value) < 0};
  }

  void present(bool) override { mismatch(); }
  void boolean(bool) override { mismatch(); }
  void number(double) override { mismatch(); }
  void number32(float) override { mismatch(); }
  void text(std::string_view) override { mismatch(); }
  void bytes(const void*, std::size_t) override { mismatch(); }
  void numbers(NumberKind, const void*, std::size_t) override { mismatch(); }
  bool begin_array(std::size_t) override { return mismatch(); }
  void end_array() override {}
  bool begin_map(std::size_t) override { return mismatch(); }
  void key(std::string_view) override {}
  void end_map() override {}
  bool begin_object(FieldNames) override { return mismatch(); }
  void field(std::string_view) override {}
  void end_object() override {}

 private:
  bool mismatch() {
    fail(Errc::wrong_type, "no whole number");
    return false;
  }

  Integer number_;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
