// The tree of a configuration: looking up, comparing, writing as JSON.
#include <flux/cache/settings.hpp>

#include <flux/cache/detail/json_reader.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "config/settings_access.hpp"

namespace flux::cache {
inline namespace v1 {

Settings::Settings(std::string value) : kind_(Kind::text), text_(std::move(value)) {}
Settings::Settings(const Settings&) = default;
Settings::Settings(Settings&&) noexcept = default;
Settings& Settings::operator=(const Settings&) = default;
Settings& Settings::operator=(Settings&&) noexcept = default;
Settings::~Settings() = default;

Settings Settings::list() {
  Settings made;
  made.kind_ = Kind::list;
  return made;
}

Settings Settings::map() {
  Settings made;
  made.kind_ = Kind::map;
  return made;
}

const Settings* Settings::find(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (names_[i] == name) return &items_[i];
  return nullptr;
}

const Settings* Settings::at(std::string_view pointer) const {
  const Settings* node = this;
  while (!pointer.empty()) {
    if (pointer.front() != '/') return nullptr;
    pointer.remove_prefix(1);
    const std::string_view token = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(token.size());
    if (node->is_list()) {
      std::size_t index = 0;
      const auto [stop, fault] = std::from_chars(token.data(), token.data() + token.size(), index);
      if (fault != std::errc{} || stop != token.data() + token.size() || index >= node->size()) return nullptr;
      node = &(*node)[index];
      continue;
    }
    std::string name;
    for (std::size_t i = 0; i < token.size(); ++i) {
      if (token[i] != '~') {
        name += token[i];
        continue;
      }
      if (++i == token.size() || (token[i] != '0' && token[i] != '1')) return nullptr;
      name += token[i] == '0' ? '~' : '/';
    }
    node = node->find(name);
    if (node == nullptr) return nullptr;
  }
  return node;
}

Settings& Settings::set(std::string_view name, Settings value) {
  if (kind_ == Kind::null) kind_ = Kind::map;
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (names_[i] == name) return items_[i] = std::move(value);
  names_.emplace_back(name);
  return items_.emplace_back(std::move(value));
}

Settings& Settings::push(Settings value) {
  if (kind_ == Kind::null) kind_ = Kind::list;
  return items_.emplace_back(std::move(value));
}

bool operator==(const Settings& a, const Settings& b) noexcept {
  using Kind = Settings::Kind;
  if (a.kind_ != b.kind_ || a.items_.size() != b.items_.size()) return false;
  switch (a.kind_) {
    case Kind::null: return true;
    case Kind::boolean:
    case Kind::integer: return a.number_ == b.number_;
    case Kind::real: return a.real_ == b.real_;
    case Kind::text: return a.text_ == b.text_;
    case Kind::list: return a.items_ == b.items_;
    case Kind::map:
      for (std::size_t i = 0; i < a.items_.size(); ++i) {
        const Settings* const other = b.find(a.names_[i]);
        if (other == nullptr || !(*other == a.items_[i])) return false;
      }
      return true;
  }
  return false;
}

namespace {

void write_text(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const std::size_t length = detail::utf8_sequence(at, end);
    if (length != 1) {
      length == 0 ? out.append("\\ufffd") : out.append(at, length);  // bytes that are no text: U+FFFD
      at += length == 0 ? 1 : length;
      continue;
    }
    switch (const char c = *at++; c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (const auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte == 0x7f) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

template <class Number>
void write_number(std::string& out, Number number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void write_real(std::string& out, double real) {
  if (!std::isfinite(real)) {
    out += "null";
    return;
  }
  const std::size_t begin = out.size();
  write_number(out, real);
  if (out.find_first_of(".e", begin) == std::string::npos) out += ".0";  // a real stays one when it is read again
}

void write(std::string& out, const Settings& node, bool indent, std::size_t depth) {
  const auto new_line = [&](std::size_t by) {
    if (indent) out.append(1, '\n').append(2 * (depth + by), ' ');
  };
  switch (node.kind()) {
    case Settings::Kind::null: out += "null"; break;
    case Settings::Kind::boolean: out += node.boolean() ? "true" : "false"; break;
    case Settings::Kind::integer: write_number(out, node.integer()); break;
    case Settings::Kind::real: write_real(out, node.real()); break;
    case Settings::Kind::text: write_text(out, node.text()); break;
    case Settings::Kind::list:
    case Settings::Kind::map: {
      const bool map = node.is_map();
      out += map ? '{' : '[';
      for (std::size_t i = 0; i < node.size(); ++i) {
        if (i != 0) out += ',';
        new_line(1);
        if (map) {
          write_text(out, node.name(i));
          out += indent ? ": " : ":";
        }
        write(out, node[i], indent, depth + 1);
      }
      if (node.size() != 0) new_line(0);
      out += map ? '}' : ']';
      break;
    }
  }
}

}  // namespace

std::string Settings::to_json(bool indent) const {
  std::string out;
  write(out, *this, indent, 0);
  return out;
}

}  // namespace v1
}  // namespace flux::cache
