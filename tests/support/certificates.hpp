// Certificates of a test's own, made by openssl in a folder that goes with them.
#pragma once
#include <flux/cache/stores/redis.hpp>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "support/scratch_directory.hpp"

namespace flux::cache::testing {

/// Files are called name.crt and name.key.
class Certificates {
 public:
  /// One that signs others.
  bool authority(const std::string& name) const {
    return shell("openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=" + name + " -keyout " + name +
                 ".key -out " + name + ".crt");
  }
  /// One signed by the authority "ca", for `names`: "IP:127.0.0.1,DNS:redis.test".
  bool certificate(const std::string& name, const std::string& names, int days = 30) const {
    std::ofstream(scratch_ / (name + ".ext")) << "subjectAltName=" << names << "\n";
    return shell("openssl req -newkey rsa:2048 -nodes -subj /CN=" + name + " -keyout " + name + ".key -out " + name +
                 ".csr && openssl x509 -req -in " + name + ".csr -CA ca.crt -CAkey ca.key -CAcreateserial -days " +
                 std::to_string(days) + " -extfile " + name + ".ext -out " + name + ".crt");
  }
  std::string path(const std::string& file) const { return scratch_ / file; }

  /// The words by which a redis server speaks TLS alone, as `name`.
  std::vector<std::string> server_words(const std::string& name) const {
    return {"--port",
            "0",
            "--tls-port",
            "@PORT@",
            "--tls-cert-file",
            path(name + ".crt"),
            "--tls-key-file",
            path(name + ".key"),
            "--tls-ca-cert-file",
            path("ca.crt")};
  }
  /// The same for memcached. It asks for a client's certificate where `wants_one` says so.
  std::vector<std::string> memcached_words(const std::string& name, bool wants_one = false) const {
    return {"-Z", "-o",
            "ssl_chain_cert=" + path(name + ".crt") + ",ssl_key=" + path(name + ".key") +
                ",ssl_ca_cert=" + path("ca.crt") + (wants_one ? ",ssl_verify_mode=2" : "")};
  }
  /// Trusts "ca", and shows itself as `name`.
  RedisConnection connection(const std::string& name) const {
    return {.timeout = std::chrono::seconds(10),
            .ca = path("ca.crt"),
            .certificate = path(name + ".crt"),
            .key = path(name + ".key")};
  }

 private:
  bool shell(const std::string& line) const {
    return std::system(("cd '" + scratch_.path() + "' && { " + line + "; } >/dev/null 2>&1").c_str()) == 0;
  }

  ScratchDirectory scratch_;
};

}  // namespace flux::cache::testing
