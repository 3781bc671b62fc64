// flux/cache/codec.hpp - the one thing a foreign type may bring.
//
//   template <> struct flux::cache::Codec<Money> {
//     static void save(const Money& money, Writer& out) { out.integer(money.cents()); }
//     static void load(Reader& in, Money& money) { money = Money::of_cents(in.integer()); }
//   };
#pragma once
#include <flux/cache/reader.hpp>
#include <flux/cache/writer.hpp>

namespace flux::cache {
inline namespace v1 {

/// How a foreign type is written and read; specialise it. `load` may instead be `static T load(Reader&)`. Optional:
/// `static std::size_t weigh(const T&)` (all its bytes, itself included), `static constexpr std::string_view name`
/// (goes into the fingerprint; change it when what `save` writes changes).
template <class T>
struct Codec;

}  // namespace v1
}  // namespace flux::cache
