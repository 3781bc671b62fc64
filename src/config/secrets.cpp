#include "config/secrets.hpp"

#include "config/settings_access.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

constexpr std::string_view kHidden = "***";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool is_empty_text(const Settings& node) { return node.is_text() && node.text().empty(); }

/// Walks over the tree; `visit(node, pointer, secret)` where something is to be hidden. False ends the walk.
template <class Visit>
bool walk(Settings& node, std::string& pointer, const Visit& visit) {
  for (std::size_t i = 0; i < node.size(); ++i) {
    Settings& child = SettingsAccess::child(node, i);
    const std::size_t length = pointer.size();
    append_pointer(pointer, node.is_map() ? node.name(i) : std::to_string(i));
    const bool named = node.is_map() && names_secret(node.name(i)) && child.kind() != Settings::Kind::boolean &&
                       !child.is_null() && !is_empty_text(child);
    const bool inside = !named && child.is_text() && without_secrets(child.text()) != child.text();
    if ((named || inside) && !visit(child, pointer, named)) return false;
    if (!named && !walk(child, pointer, visit)) return false;
    pointer.resize(length);
  }
  return true;
}

}  // namespace

bool names_secret(std::string_view name) {
  const std::string word = lower(name);
  for (const std::string_view part : {"password", "passwd", "passphrase", "secret", "token", "credential", "api_key",
                                      "apikey", "private_key", "access_key"})
    if (holds(word, part)) return true;
  return word == "auth" || word == "pass" || word == "pwd" || word.ends_with("_auth") || word.ends_with("_pass");
}

std::string without_secrets(std::string_view text) {
  std::string out(text);
  const std::size_t scheme = out.find("://");
  if (scheme != std::string::npos) {
    // The last @ ends it, wherever it stands: a password may hold what should have been escaped.
    const std::size_t begin = scheme + 3, at = out.rfind('@');
    if (at != std::string::npos && at > begin) out.replace(begin, at - begin, kHidden);
    const std::size_t query = out.find('?', begin);
    if (query != std::string::npos && names_secret(std::string_view(out).substr(query)))
      out.replace(query + 1, std::string::npos, kHidden);
  } else if (const std::string word = lower(text); holds(word, "password=") || holds(word, "pwd=")) {
    out = kHidden;
  }
  return out;
}

std::string find_secret(const Settings& tree) {
  Settings copy = tree;
  std::string pointer;
  return walk(copy, pointer, [](Settings&, const std::string&, bool) { return false; }) ? std::string() : pointer;
}

}  // namespace detail

Settings Settings::redacted() const {
  Settings copy = *this;
  std::string pointer;
  detail::walk(copy, pointer, [](Settings& node, const std::string&, bool named) {
    detail::SettingsAccess::blot(node, named ? std::string(detail::kHidden) : detail::without_secrets(node.text()));
    return true;
  });
  return copy;
}

}  // namespace v1
}  // namespace flux::cache
