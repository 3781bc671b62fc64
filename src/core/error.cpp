#include <flux/cache/error.hpp>

namespace flux::cache {
inline namespace v1 {

std::string_view to_string(Errc code) noexcept {
  switch (code) {
    case Errc::unavailable: return "unavailable";
    case Errc::timeout: return "timeout";
    case Errc::rejected: return "rejected";
    case Errc::corrupt: return "corrupt";
    case Errc::schema: return "schema";
    case Errc::wrong_type: return "wrong_type";
    case Errc::not_serializable: return "not_serializable";
    case Errc::not_a_number: return "not_a_number";
    case Errc::overflow: return "overflow";
    case Errc::too_large: return "too_large";
    case Errc::unsupported: return "unsupported";
    case Errc::denied: return "denied";
    case Errc::bad_key: return "bad_key";
    case Errc::bad_tag: return "bad_tag";
    case Errc::bad_config: return "bad_config";
    case Errc::prohibited: return "prohibited";
    case Errc::shut_down: return "shut_down";
  }
  return "unknown";
}

namespace {

/// A key as a person can read it: printable ASCII as it is, the rest escaped, long ones cut.
std::string quoted(std::string_view key) {
  constexpr std::size_t kLongest = 120;
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : key.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += kHex[byte >> 4];
      text += kHex[byte & 15];
    }
  }
  text += key.size() > kLongest ? "\"..." : "\"";
  return text;
}

}  // namespace

std::string Error::to_string() const {
  std::string line;
  const auto part = [&line](std::string_view text) {
    if (text.empty()) return;
    if (!line.empty()) line += ": ";
    line += text;
  };
  part(store);
  if (key.empty()) {
    part(operation);
  } else {
    part(operation.empty() ? quoted(key) : operation + ' ' + quoted(key));
  }
  part(v1::to_string(code));
  part(message);
  return line;
}

void raise(Error error) {
  switch (error.code) {
    case Errc::bad_key: throw InvalidKey(std::move(error));
    case Errc::bad_tag: throw InvalidTag(std::move(error));
    case Errc::not_a_number: throw NotANumber(std::move(error));
    case Errc::overflow: throw Overflow(std::move(error));
    case Errc::wrong_type:
    case Errc::not_serializable:
    case Errc::schema: throw TypeMismatch(std::move(error));
    case Errc::unsupported:
    case Errc::prohibited: throw Unsupported(std::move(error));
    case Errc::bad_config: throw ConfigError(std::move(error));
    case Errc::unavailable:
    case Errc::timeout:
    case Errc::rejected:
    case Errc::corrupt:
    case Errc::too_large:
    case Errc::denied:
    case Errc::shut_down: break;
  }
  throw StoreUnavailable(std::move(error));
}

}  // namespace v1
}  // namespace flux::cache
