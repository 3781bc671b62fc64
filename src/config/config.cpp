// A configuration from JSON, from a file, and back.
#include <flux/cache/config.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "config/interpolate.hpp"
#include "config/known_drivers.hpp"
#include "config/reading.hpp"
#include "config/secrets.hpp"
#include "config/settings_access.hpp"
#include "config/tree.hpp"
#include "config/utf8.hpp"

namespace flux::cache {
inline namespace v1 {

namespace detail {

AnyConfig::AnyConfig(Settings settings) : settings_(std::make_shared<const Settings>(std::move(settings))) {}

std::string_view AnyConfig::driver() const noexcept {
  const Settings* const driver = settings_->find("driver");
  return driver != nullptr ? std::string_view(driver->text()) : std::string_view();
}

namespace {

/// Reads a map of named things.
template <class T>
void read_named(Reading& reading, Fields& fields, std::string_view what, Named<T>& things) {
  const Settings* const found = Reading::take(fields, what);
  if (found == nullptr) return;
  const std::string pointer = join_pointer("", what);
  if (!found->is_map()) return reading.problems.add(pointer, found, "expected a map, found " + described(*found));
  if (found->size() > kMaxNamed)
    return reading.problems.add(pointer, found, "more than " + std::to_string(kMaxNamed) + " of them");
  for (std::size_t i = 0; i < found->size() && !reading.problems.full(); ++i) {
    const Settings& thing = (*found)[i];
    if (thing.is_map())
      things.add(found->name(i), T(thing));
    else
      reading.problems.add(join_pointer(pointer, found->name(i)), &thing, "expected a map, found " + described(thing));
  }
}

template <class T>
void write_named(Settings& tree, std::string_view what, const Named<T>& things) {
  if (things.empty()) return;
  Settings& map = tree.set(what, Settings::map());
  for (const auto& [name, thing] : things) SettingsAccess::append(map, name, thing.settings());
}

}  // namespace

void read_top(Reading& reading, const Settings& tree, Config& config) {
  reading.read(tree, "", [&](Fields& fields) {
    fields.text("default", config.default_store);
    read_named(reading, fields, "stores", config.stores);
    read_named(reading, fields, "connections", config.connections);
    fields.prefix("prefix", config.prefix);
    fields.group("serialize", config.serialize);
    fields.group("limits", config.limits);
  });
}

Settings tree_of(const Config& config) {
  Settings tree = Settings::map();
  if (!config.default_store.empty()) tree.set("default", config.default_store);
  write_named(tree, "stores", config.stores);
  write_named(tree, "connections", config.connections);
  if (!config.prefix.empty()) tree.set("prefix", config.prefix);
  if (Settings serialize = to_settings(config.serialize); serialize.size() != 0)
    tree.set("serialize", std::move(serialize));
  if (Settings limits = to_settings(config.limits); limits.size() != 0) tree.set("limits", std::move(limits));
  return tree;
}

}  // namespace detail

namespace {

[[noreturn]] void unreadable(const std::string& path, const std::string& why) {
  throw ConfigError(Error{Errc::bad_config, detail::shown(path) + ": " + why});
}

/// A file descriptor that closes itself.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

std::string read_file(const std::string& path, mode_t& mode) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  struct stat status {};
  if (file.number < 0 || ::fstat(file.number, &status) != 0) unreadable(path, std::generic_category().message(errno));
  mode = status.st_mode;
  std::string text;
  constexpr std::size_t kChunk = 64 * 1024;
  while (text.size() <= kMaxSettingsBytes) {
    const std::size_t held = text.size();
    text.resize(held + kChunk);
    const ssize_t got = ::read(file.number, text.data() + held, kChunk);
    text.resize(held + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unreadable(path, std::generic_category().message(errno));
    if (got == 0) return text;
  }
  unreadable(path, "the file is over 16 MiB");
}

Config from_tree(Settings tree) {
  detail::Reading reading;
  detail::interpolate(
      tree, [](const char* name) -> const char* { return std::getenv(name); }, reading.problems);
  reading.problems.raise();
  Config config;
  detail::read_top(reading, tree, config);
  reading.problems.raise();
  return config;
}

}  // namespace

Config Config::from_json(std::string_view text) { return from_tree(Settings::parse(text)); }

Config Config::from_file(const std::string& path) {
  mode_t mode = 0;
  const std::string text = read_file(path, mode);
  Settings tree;
  try {
    tree = Settings::parse(text);
  } catch (const ConfigError& error) {
    unreadable(path, error.error().message);
  }
  std::string secret;
  if ((mode & (S_IRGRP | S_IROTH)) != 0) secret = detail::find_secret(detail::without_environment(tree));
  Config config;
  try {
    config = from_tree(std::move(tree));
  } catch (const ConfigError& error) {
    unreadable(path, error.error().message);
  }
  config.file = path;
  if (!secret.empty()) {
    char octal[8];
    std::snprintf(octal, sizeof octal, "%04o", static_cast<unsigned>(mode & 07777));
    config.warnings.push_back(detail::shown(path) + " has the mode " + octal + " and holds a secret at " + secret +
                              ": others can read it; allow its owner alone (chmod 600), or take it from a variable");
  }
  return config;
}

std::string env(const char* name, std::string_view fallback) {
  const char* const value = std::getenv(name);
  return std::string(value != nullptr ? std::string_view(value) : fallback);
}

std::string to_json(const Config& config) { return detail::tree_of(config).redacted().to_json(); }

}  // namespace v1
}  // namespace flux::cache
