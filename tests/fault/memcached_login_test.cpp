// Servers that want to know who asks: SASL under the binary protocol, an auth file under the meta protocol.
#include <gtest/gtest.h>

#ifdef FLUX_TEST_SASL
#include <sasl/sasl.h>
#endif

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "support/memcached.hpp"
#include "support/outcome.hpp"

namespace flux::cache::testing {
namespace {

constexpr const char* kCanary = "s3cret-canary";

/// What a put answers to whoever logs in so.
Result<bool> put_as(const Server& server, const std::string& username, const std::string& password,
                    const std::string& protocol) {
  const auto store = make_memcached(
      {.servers = {address_of(server)}, .username = username, .password = password, .protocol = protocol});
  auto written = store->put(Key("k"), {.value = {.kind = Kind::text, .text = "v"}}, {});
  if (!written.ok()) {
    EXPECT_EQ(written.error().to_string().find(password.empty() ? kCanary : password), std::string::npos)
        << "a password is never shown";
    return written;
  }
  return store->has(Key("k"));
}

TEST(MemcachedLogin, ByAnAuthFileUnderTheMetaProtocol) {
  const ScratchDirectory directory;
  std::ofstream(directory / "users") << "ann:" << kCanary << "\n";
  const auto server = Server::memcached({"-Y", directory / "users"});
  if (server == nullptr) GTEST_SKIP() << Server::why_not();
  EXPECT_EQ(code_of(put_as(*server, "ann", kCanary, "meta")), "ok");
  EXPECT_EQ(code_of(put_as(*server, "ann", "not-the-password", "meta")), "denied");
  EXPECT_EQ(code_of(put_as(*server, "bob", kCanary, "meta")), "denied");
  EXPECT_EQ(code_of(put_as(*server, "", "", "meta")), "denied");
}

TEST(MemcachedLogin, AUserWhoCouldBeTakenForACommandIsRefusedBeforeAnyoneIsAsked) {
  for (const char* const name : {"ann\r\nflush_all", "an n", "ann\n"}) {
    const auto store = make_memcached({.username = name, .password = "p", .protocol = "meta"});
    EXPECT_EQ(code_of(store->has(Key("k"))), "bad_config") << name;
  }
  EXPECT_EQ(code_of(make_memcached({.password = "p"})->has(Key("k"))), "bad_config");
}

#ifdef FLUX_TEST_SASL

std::string database;

int option(void*, const char*, const char* name, const char** value, unsigned* size) {
  const std::string_view asked = name;
  if (asked == "sasldb_path") {
    *value = database.c_str();
  } else if (asked == "auxprop_plugin") {
    *value = "sasldb";
  } else {
    return SASL_FAIL;
  }
  if (size != nullptr) *size = static_cast<unsigned>(std::strlen(*value));
  return SASL_OK;
}

bool add_user(const std::string& username, const std::string& password) {
  static const sasl_callback_t callbacks[] = {
      {SASL_CB_GETOPT, reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(&option)), nullptr},
      {SASL_CB_LIST_END, nullptr, nullptr}};
  sasl_conn_t* connection = nullptr;
  if (sasl_server_init(callbacks, "memcached") != SASL_OK ||
      sasl_server_new("memcached", nullptr, nullptr, nullptr, nullptr, nullptr, 0, &connection) != SASL_OK)
    return false;
  const bool is_set = sasl_setpass(connection, username.c_str(), password.c_str(),
                                   static_cast<unsigned>(password.size()), nullptr, 0, SASL_SET_CREATE) == SASL_OK;
  sasl_dispose(&connection);
  return is_set;
}

TEST(MemcachedLogin, BySaslUnderTheBinaryProtocol) {
  const ScratchDirectory directory;
  database = directory / "users";
  std::ofstream(directory / "memcached.conf") << "mech_list: plain\nsasldb_path: " << database << "\n";
  if (!add_user("ann", kCanary)) GTEST_SKIP() << "the SASL library at hand keeps no users";
  ::setenv("SASL_CONF_PATH", directory.path().c_str(), 1);
  const auto server = Server::memcached({"-S"});
  ::unsetenv("SASL_CONF_PATH");
  if (server == nullptr) GTEST_SKIP() << Server::why_not();
  EXPECT_EQ(code_of(put_as(*server, "ann", kCanary, "")), "ok");
  EXPECT_EQ(code_of(put_as(*server, "ann", "not-the-password", "binary")), "denied");
  EXPECT_EQ(code_of(put_as(*server, "bob", kCanary, "binary")), "denied");
  EXPECT_NE(code_of(put_as(*server, "", "", "binary")), "ok");
}

#endif

}  // namespace
}  // namespace flux::cache::testing
