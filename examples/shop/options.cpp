#include "options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace shop {

const char* const kHelp =
    R"(shop [--store NAME] [--products N] [--requests N] [--data DIR] [--redis HOST:PORT]
     [--memcached HOST:PORT] [--quick]

A shop with the packages of this Debian machine as its goods. It serves the same customers without a cache, with a cold
one and with a warm one, shows what that saved, and changes a price under their eyes.

  --store NAME    what stands between the memory cache and the database: memory (nothing), file, database, redis,
                  memcached, or all of them that are there, one after another (default)
  --products N    at most N products, the most popular ones (1 to 1000000; default: all)
  --requests N    how many requests the customers make (100 to 10000000; default 40000)
  --data DIR      where database and caches are kept (default: shop_data, here)
  --redis H:P     a redis server. The shop then also runs in two processes, memory in each and the server behind, and
                  one of them changes a price
  --memcached H:P a memcached server
  --office        be the other process: read lines "PRODUCT CENTS", and change the price
  --quick         2000 products and 3000 requests, unless said otherwise: over in a few seconds
  --help          this
)";

namespace {

std::size_t number(std::string_view option, std::string_view text, std::size_t least, std::size_t most) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    throw UsageError(std::string(option) + " wants a whole number from " + std::to_string(least) + " to " +
                     std::to_string(most) + ", not \"" + std::string(text) + '"');
  return value;
}

void check_address(const std::string& option, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0) throw UsageError(option + " wants HOST:PORT, not \"" + std::string(text) + '"');
  number(option, text.substr(colon + 1), 1, 65'535);
}

}  // namespace

bool has_server(const Options& options, const std::string& store) {
  if (store == "redis") return SHOP_HAS_REDIS && !options.redis.empty();
  return SHOP_HAS_MEMCACHED && !options.memcached.empty();
}

std::string host_of(const std::string& address) { return address.substr(0, address.rfind(':')); }
int port_of(const std::string& address) { return std::stoi(address.substr(address.rfind(':') + 1)); }

Options read_options(int argc, char** argv) {
  Options options;
  bool products_said = false;
  bool requests_said = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view name = argv[i];
    std::string_view value;
    const auto take_value = [&] {
      if (const std::size_t equals = name.find('='); equals != name.npos) {
        value = name.substr(equals + 1);
        name = name.substr(0, equals);
      } else if (i + 1 < argc) {
        value = argv[++i];
      } else {
        throw UsageError(std::string(name) + " wants a value");
      }
    };
    if (name == "--help" || name == "-h") {
      options.help = true;
    } else if (name == "--quick") {
      options.quick = true;
    } else if (name.starts_with("--store")) {
      take_value();
      constexpr std::array kStores{"memory", "file", "database", "redis", "memcached", "all"};
      if (std::find(kStores.begin(), kStores.end(), value) == kStores.end())
        throw UsageError("--store is one of memory, file, database, redis, memcached and all, not \"" +
                         std::string(value) + '"');
      options.store = value;
    } else if (name.starts_with("--products")) {
      take_value();
      options.products = number("--products", value, 1, 1'000'000);
      products_said = true;
    } else if (name.starts_with("--requests")) {
      take_value();
      options.requests = number("--requests", value, 100, 10'000'000);
      requests_said = true;
    } else if (name == "--office") {
      options.office = true;
    } else if (name.starts_with("--redis")) {
      take_value();
      check_address("--redis", value);
      options.redis = value;
    } else if (name.starts_with("--memcached")) {
      take_value();
      check_address("--memcached", value);
      options.memcached = value;
    } else if (name.starts_with("--data")) {
      take_value();
      if (value.empty()) throw UsageError("--data wants the name of a directory");
      options.data = value;
    } else {
      throw UsageError("no option \"" + std::string(name) + '"');
    }
  }
  for (const char* const store : {"redis", "memcached"})
    if (options.store == store && !has_server(options, store))
      throw UsageError("--store " + options.store + " wants a server: --" + options.store + " HOST:PORT");
  if (options.quick && !products_said) options.products = 2000;
  if (options.quick && !requests_said) options.requests = 3000;
  return options;
}

}  // namespace shop
