// examples/shop/options.hpp - what may be said on the command line.
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>

namespace shop {

struct Options {
  std::string store = "all";       // memory, file, database, redis, memcached or all
  std::size_t products = 100'000;  // at most so many
  std::size_t requests = 40'000;
  std::string data = "shop_data";  // a directory, made where it is missing
  std::string redis{};             // host:port of a server; empty: there is none
  std::string memcached{};         // likewise
  bool office = false;             // be the other process
  bool quick = false;
  bool help = false;
};

/// One line for the person who typed it.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The servers that were named, for this build: "redis", "memcached".
bool has_server(const Options& options, const std::string& store);
/// Of host:port.
std::string host_of(const std::string& address);
int port_of(const std::string& address);

/// Throws UsageError.
Options read_options(int argc, char** argv);

extern const char* const kHelp;

}  // namespace shop
