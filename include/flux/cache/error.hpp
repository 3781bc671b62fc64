// flux/cache/error.hpp - what can go wrong, as a value and as an exception.
//
// Stores and layers answer with a `Result` and never throw. The verbs above them fail soft (a read is a miss, a write
// answers false); what cannot be guessed, and a caller's own mistake, is thrown as one of the exceptions below.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// Why an operation could not answer. docs/errors.md says for each what happened and what to do.
enum class Errc : std::uint8_t {
  unavailable = 1,   ///< no answer: refused, reset, unreadable, disk full.              transient
  timeout,           ///< the deadline passed; a write may still have happened.          transient
  rejected,          ///< breaker open or pool exhausted; nothing was sent.              transient
  corrupt,           ///< bytes that do not check out; read as a miss, then removed.
  schema,            ///< a struct whose fields changed since it was written, or whose codec threw; read as a miss.
  wrong_type,        ///< the entry holds another type than was asked for.
  not_serializable,  ///< the type lives in memory only and the store keeps bytes.
  not_a_number,      ///< a counter was asked of a value that is no integer; nothing changed.
  overflow,          ///< a counter would leave the range of a 64-bit integer; nothing changed.
  too_large,         ///< over a limit of the store or of the configuration.
  unsupported,       ///< the store says in its traits that it cannot.
  denied,            ///< the server refused us: credentials, permissions, certificate.
  bad_key,           ///< an empty key, or one over the limit.
  bad_tag,           ///< an empty tag, one over the limit, or too many of them.
  bad_config,        ///< a configuration that names something that is not there or not allowed.
  prohibited,        ///< switched off by the configuration (`prohibit_flush`).
  shut_down,         ///< the store was closed.
};

/// The code's name as written above, such as "wrong_type".
FLUX_CACHE_API std::string_view to_string(Errc code) noexcept;

/// True where the same call may succeed later without any change: unavailable, timeout, rejected.
constexpr bool is_transient(Errc code) noexcept {
  return code == Errc::unavailable || code == Errc::timeout || code == Errc::rejected;
}

/// True where something was found that cannot be read as it is wanted: it is about one entry, not about its store.
constexpr bool is_unreadable(Errc code) noexcept {
  return code == Errc::corrupt || code == Errc::schema || code == Errc::wrong_type || code == Errc::too_large ||
         code == Errc::not_serializable || code == Errc::unsupported;
}

/// What went wrong, and where. Never carries a value or a secret.
struct Error {
  Errc code = Errc::unavailable;
  std::string message{};    ///< the cause in plain words, such as the system's or the library's own text
  std::string store{};      ///< the store's configured name; empty above the stores
  std::string operation{};  ///< the verb: "get", "put", "increment"
  std::string key{};        ///< the key it was about; empty where it was about none

  /// One line for a person: "redis: get \"k\": unavailable: connection refused".
  FLUX_CACHE_API std::string to_string() const;
};

/// The base of everything this library throws of its own accord.
class FLUX_CACHE_TYPE Exception : public std::runtime_error {
 public:
  explicit Exception(Error error) : std::runtime_error(error.to_string()), error_(std::move(error)) {}
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

// clang-format off
struct FLUX_CACHE_TYPE StoreUnavailable : Exception { using Exception::Exception; };  ///< an answer was needed and the store gave none
struct FLUX_CACHE_TYPE InvalidKey       : Exception { using Exception::Exception; };  ///< an empty key or one over the limit
struct FLUX_CACHE_TYPE InvalidTag       : Exception { using Exception::Exception; };  ///< an empty tag, one over the limit, or too many
struct FLUX_CACHE_TYPE NotANumber       : Exception { using Exception::Exception; };  ///< a counter over something that is no integer
struct FLUX_CACHE_TYPE Overflow         : Exception { using Exception::Exception; };  ///< a counter beyond 64 bits
struct FLUX_CACHE_TYPE TypeMismatch     : Exception { using Exception::Exception; };  ///< another type than was asked for
struct FLUX_CACHE_TYPE Unsupported      : Exception { using Exception::Exception; };  ///< the store cannot, and says so in its traits
struct FLUX_CACHE_TYPE ConfigError      : Exception { using Exception::Exception; };  ///< names the place by its JSON pointer
// clang-format on

/// Throws the exception that belongs to `error.code`.
[[noreturn]] FLUX_CACHE_API void raise(Error error);

}  // namespace v1
}  // namespace flux::cache
