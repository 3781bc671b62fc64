#include "config/interpolate.hpp"

#include "config/settings_access.hpp"
#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail {

namespace {

bool is_name(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9')) return false;
  }
  return true;
}

/// Whether a value holds `${NAME}` or `${NAME:` for the name that it is the value of.
bool refers_to(std::string_view value, std::string_view name) {
  const std::string reference = "${" + std::string(name);
  for (std::size_t at = value.find(reference); at != std::string_view::npos; at = value.find(reference, at + 1)) {
    const std::string_view rest = value.substr(at + reference.size());
    if (!rest.empty() && (rest.front() == '}' || rest.front() == ':')) return true;
  }
  return false;
}

class Interpolation {
 public:
  Interpolation(Variable variable, Problems& problems, bool lenient)
      : variable_(variable), problems_(problems), lenient_(lenient) {}

  void walk(Settings& node, std::string& pointer) {
    if (node.is_text() && node.text().find('$') != std::string::npos) rewrite(node, pointer);
    for (std::size_t i = 0; i < node.size() && !problems_.full(); ++i) {
      const std::size_t length = pointer.size();
      append_pointer(pointer, node.is_map() ? node.name(i) : std::to_string(i));
      walk(SettingsAccess::child(node, i), pointer);
      pointer.resize(length);
    }
  }

 private:
  void rewrite(Settings& node, const std::string& pointer) {
    const std::string_view text = node.text();
    std::string out;
    auto from = Settings::Origin::written;
    bool alone = false;  // the whole text is one variable, whose origin is then the node's
    std::size_t at = 0;
    while (at < text.size()) {
      const std::size_t dollar = text.find('$', at);
      out += text.substr(at, dollar - at);
      if (dollar == std::string_view::npos) break;
      if (text.substr(dollar, 3) == "$${") {
        out += "${";
        at = dollar + 3;
      } else if (text.substr(dollar, 2) == "${") {
        const std::size_t close = text.find('}', dollar);
        if (close == std::string_view::npos)
          return problems_.add(pointer, &node, "\"${\" without its \"}\"; write $${ for the characters themselves");
        if (!replace(text.substr(dollar + 2, close - dollar - 2), out, from, node, pointer)) return;
        at = close + 1;
        alone = dollar == 0 && at == text.size();
      } else {
        out += '$';
        at = dollar + 1;
      }
      if (out.size() > kMaxSettingsBytes - spent_)
        return problems_.add(pointer, &node, "the variables make the configuration larger than 16 MiB");
    }
    spent_ += out.size();
    SettingsAccess::rewrite(node, std::move(out), alone ? from : Settings::Origin::written);
  }

  bool replace(std::string_view inside, std::string& out, Settings::Origin& from, const Settings& node,
               const std::string& pointer) {
    const std::size_t colon = inside.find(':');
    const std::string name(inside.substr(0, colon));
    if (!is_name(name)) return problems_.add(pointer, &node, shown(name) + " is no name of a variable"), false;
    if (const char* const value = variable_(name.c_str())) {
      if (refers_to(value, name))
        return problems_.add(pointer, &node, "the value of the variable " + name + " refers to itself"), false;
      if (!is_utf8(value))
        return problems_.add(pointer, &node, "the value of the variable " + name + " is not UTF-8"), false;
      out += value;
      from = Settings::Origin::environment;
    } else if (colon != std::string_view::npos) {
      const std::string_view fallback = inside.substr(colon + 1);
      if (fallback.find("${") != std::string_view::npos)
        return problems_.add(pointer, &node, "a fallback cannot hold a variable"), false;
      out += fallback;
      from = Settings::Origin::fallback;
    } else if (!lenient_) {
      return problems_.add(pointer, &node, "the variable " + name + " is not set and has no fallback"), false;
    }
    return true;
  }

  Variable variable_;
  Problems& problems_;
  bool lenient_;
  std::size_t spent_ = 0;
};

}  // namespace

void interpolate(Settings& tree, Variable variable, Problems& problems) {
  std::string pointer;
  Interpolation(variable, problems, false).walk(tree, pointer);
}

Settings without_environment(Settings tree) {
  Problems ignored;
  std::string pointer;
  Interpolation([](const char*) -> const char* { return nullptr; }, ignored, true).walk(tree, pointer);
  return tree;
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
