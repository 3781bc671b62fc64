// Any bytes as a configuration: it is refused with a ConfigError, or accepted and then its dump is accepted too.
#include <flux/cache/drivers.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace flux::cache;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Settings tree = Settings::parse(text);
    if (!(Settings::parse(tree.to_json(false)) == tree)) std::abort();
  } catch (const ConfigError&) {
    return 0;
  }
  try {
    const Config config = checked(Config::from_json(text));
    (void)rules_of(config, config.default_store);
    (void)to_json(config);
  } catch (const ConfigError&) {
  }
  return 0;
}
