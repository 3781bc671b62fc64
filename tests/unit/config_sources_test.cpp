// Where a configuration comes from: the environment, files, and what is secret of it.
#include "config.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <vector>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

// --- the environment

TEST(ConfigVariables, StandForTheirValueOrTheFallback) {
  EXPECT_EQ(Config::from_json(R"({"prefix": "${FLUX_TEST_A:fall}"})").prefix, "fall");
  EXPECT_EQ(Config::from_json(R"({"prefix": "x-${FLUX_TEST_A:}-${FLUX_TEST_A:b:c}"})").prefix, "x--b:c");
  const Variable a("FLUX_TEST_A", "value");
  EXPECT_EQ(Config::from_json(R"({"prefix": "${FLUX_TEST_A:fall}"})").prefix, "value");
  EXPECT_EQ(Config::from_json(R"({"prefix": "x-${FLUX_TEST_A}-${FLUX_TEST_A}"})").prefix, "x-value-value");
  EXPECT_EQ(env("FLUX_TEST_A", "fall"), "value");
  EXPECT_EQ(env(std::string("FLUX_TEST_B"), "fall"), "fall");
  EXPECT_EQ(env("FLUX_TEST_B"), "");
}

TEST(ConfigVariables, ArePlainTextWhereEscaped) {
  EXPECT_EQ(Config::from_json(R"({"prefix": "$${FLUX_TEST_A}$$x$"})").prefix, "${FLUX_TEST_A}$$x$");
}

TEST(ConfigVariables, AreReplacedOnce) {
  const Variable a("FLUX_TEST_A", "${FLUX_TEST_B}"), b("FLUX_TEST_B", "b");
  EXPECT_EQ(Config::from_json(R"({"prefix": "${FLUX_TEST_A}"})").prefix, "${FLUX_TEST_B}");
}

TEST(ConfigVariables, MayNotReferToThemselves) {
  for (const char* value : {"${FLUX_TEST_A}", "x${FLUX_TEST_A:y}z"}) {
    const Variable a("FLUX_TEST_A", value);
    EXPECT_EQ(refusal(R"({"prefix": "${FLUX_TEST_A}"})"),
              "/prefix: the value of the variable FLUX_TEST_A refers to itself (line 1)");
  }
  const Variable longer("FLUX_TEST_A", "${FLUX_TEST_AB}");
  EXPECT_EQ(refusal(R"({"prefix": "${FLUX_TEST_A}"})"), "");
}

TEST(ConfigVariables, AreNamedWithTheirPlaceWhereTheyAreMissing) {
  EXPECT_EQ(refusal("{\"stores\": {\"a\": {\"driver\": \"file\",\n \"path\": \"${FLUX_TEST_GONE}\"}}}"),
            "/stores/a/path: the variable FLUX_TEST_GONE is not set and has no fallback (line 2)");
  EXPECT_TRUE(holds(refusal(R"({"prefix": "${A"})"), "/prefix: \"${\" without its \"}\""));
  EXPECT_TRUE(holds(refusal(R"({"prefix": "${}"})"), "/prefix: \"\" is no name of a variable"));
  EXPECT_TRUE(holds(refusal(R"({"prefix": "${1A}"})"), "/prefix: \"1A\" is no name of a variable"));
  EXPECT_TRUE(holds(refusal(R"({"prefix": "${A B:c}"})"), "/prefix: \"A B\" is no name of a variable"));
  EXPECT_TRUE(holds(refusal(R"({"prefix": "${FLUX_TEST_A:${B}}"})"), "/prefix: a fallback cannot hold a variable"));
  const Variable bytes("FLUX_TEST_A", "\xff");
  EXPECT_TRUE(holds(refusal(R"({"prefix": "${FLUX_TEST_A}"})"), "is not UTF-8"));
}

TEST(ConfigVariables, MaySpellNumbersAndBools) {
  const auto config = [](const char* json) { return Config::from_json(json); };
  const Variable port("FLUX_TEST_PORT", "7000"), on("FLUX_TEST_ON", "true"), ttl("FLUX_TEST_TTL", "2.5");
  const Config read = config(
      R"({"connections": {"c": {"driver": "redis", "port": "${FLUX_TEST_PORT}", "database": "${FLUX_TEST_DB:3}"}},
      "stores": {"a": {"driver": "memory", "ttl": "${FLUX_TEST_TTL}", "max_bytes": "${FLUX_TEST_BYTES:1024}"}},
      "serialize": {"compress": "${FLUX_TEST_ON}"}})");
  EXPECT_EQ(refusal(read), "");
  const auto connection = from_settings<RedisConnection>(read.connections.find("c")->settings());
  EXPECT_EQ(connection.port, 7000);
  EXPECT_EQ(connection.database, 3);
  const auto store = from_settings<MemoryConfig>(read.stores.find("a")->settings());
  EXPECT_EQ(store.ttl->length(), 2500ms);
  EXPECT_EQ(store.max_bytes, 1024u);
  EXPECT_TRUE(read.serialize.compress);
}

TEST(ConfigVariables, AreReadAsStrictlyAsNumbers) {
  for (const char* value : {"7000\r\n", " 7000", "7000x", "0x10", "99999", "7000.0"}) {
    const Variable port("FLUX_TEST_PORT", value);
    const std::string message = refusal(R"({"connections": {"c": {"driver": "redis", "port": "${FLUX_TEST_PORT}"}}})");
    EXPECT_EQ(message, "/connections/c/port: expected an integer from 1 to 65535, found text (line 1)") << value;
  }
  const Variable port("FLUX_TEST_PORT", "7");
  EXPECT_TRUE(holds(refusal(R"({"connections": {"c": {"driver": "redis", "port": "${FLUX_TEST_PORT}0"}}})"),
                    "/connections/c/port"));
}

TEST(ConfigVariables, AreAsIfTheirKeyWereAbsentWhereEmpty) {
  const Variable empty("FLUX_TEST_A", "");
  EXPECT_EQ(
      refusal(R"({"connections": {"c": {"driver": "redis", "port": "${FLUX_TEST_A}", "host": "${FLUX_TEST_B:}"}}})"),
      "");
}

TEST(ConfigVariables, CannotBlowAConfigurationUp) {
  const Variable large("FLUX_TEST_A", std::string(100'000, 'x'));
  std::string json = "{\"stores\": {\"a\": {\"driver\": \"file\", \"path\": \"";
  for (int i = 0; i < 1'000; ++i) json += "${FLUX_TEST_A}";
  EXPECT_TRUE(
      holds(refusal(json + "\"}}}"), "/stores/a/path: the variables make the configuration larger than 16 MiB"));
}

// --- files

class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "flux_config_XXXXXX";
    const int file = ::mkstemp(name.data());
    ASSERT_GE(file, 0);
    ::close(file);
    path_ = name;
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  Config read(const std::string& json, mode_t mode) {
    std::ofstream(path_) << json;
    ::chmod(path_.c_str(), mode);
    return Config::from_file(path_);
  }

  std::string path_;
};

TEST_F(ConfigFile, IsReadLikeText) { EXPECT_EQ(read(R"({"prefix": "x"})", 0600).prefix, "x"); }

TEST_F(ConfigFile, IsNamedInEveryMistake) {
  for (const char* json : {"{", R"({"x": 1})", R"({"prefix": "${FLUX_TEST_GONE}"})"}) {
    try {
      (void)read(json, 0600);
      ADD_FAILURE() << json;
    } catch (const ConfigError& error) {
      EXPECT_TRUE(holds(error.what(), path_)) << error.what();
    }
  }
}

TEST_F(ConfigFile, IsNamedInWhatIsFoundWhenItIsPutInForce) {
  const Config config = read(R"({"stores": {"a": {"driver": "memory", "pth": 1}}})", 0600);
  EXPECT_EQ(config.file, path_);
  EXPECT_EQ(refusal(config), "\"" + path_ + "\": /stores/a/pth: unknown key (line 1)");
}

TEST_F(ConfigFile, MayNotBeginWithAByteOrderMark) {
  try {
    (void)read("\xef\xbb\xbf{}", 0600);
    ADD_FAILURE();
  } catch (const ConfigError& error) {
    EXPECT_TRUE(holds(error.what(), "the text begins with a byte order mark; save it without one")) << error.what();
  }
}

TEST_F(ConfigFile, EarnsAWarningWhereOthersCanReadItsSecret) {
  const std::string json = R"({"connections": {"c": {"driver": "redis", "password": "canary"}}})";
  for (const mode_t mode : {0644, 0640, 0604}) {
    const Config config = read(json, mode);
    ASSERT_EQ(config.warnings.size(), 1u);
    EXPECT_TRUE(holds(config.warnings[0], path_));
    EXPECT_TRUE(holds(config.warnings[0], "/connections/c/password"));
    EXPECT_FALSE(holds(config.warnings[0], "canary"));
  }
  EXPECT_TRUE(holds(read(json, 0644).warnings[0], "0644"));
  EXPECT_TRUE(read(json, 0600).warnings.empty());
}

TEST_F(ConfigFile, EarnsNoneForASecretThatComesFromAVariable) {
  const Variable secret("FLUX_TEST_A", "canary");
  EXPECT_TRUE(
      read(R"({"connections": {"c": {"driver": "redis", "password": "${FLUX_TEST_A}"}}})", 0644).warnings.empty());
  EXPECT_TRUE(
      read(R"({"connections": {"c": {"driver": "redis", "url": "redis://${FLUX_TEST_H:h}"}}})", 0644).warnings.empty());
  EXPECT_EQ(
      read(R"({"connections": {"c": {"driver": "redis", "password": "${FLUX_TEST_A:canary}"}}})", 0644).warnings.size(),
      1u);
  EXPECT_EQ(read(R"({"connections": {"c": {"driver": "redis", "url": "redis://u:canary@h"}}})", 0644).warnings.size(),
            1u);
}

TEST_F(ConfigFile, IsRefusedWhereItCannotBeRead) {
  const auto refused = [](const std::string& path) {
    try {
      (void)Config::from_file(path);
      return std::string();
    } catch (const ConfigError& error) {
      return error.error().message;
    }
  };
  EXPECT_EQ(refused("no/such/file.json"), "\"no/such/file.json\": No such file or directory");
  EXPECT_TRUE(holds(refused(testing::TempDir()), "Is a directory"));
  EXPECT_EQ(refused("/dev/zero"), "\"/dev/zero\": the file is over 16 MiB");
  std::ofstream(path_) << "{}";
  ASSERT_EQ(::truncate(path_.c_str(), 100'000'000), 0);
  EXPECT_TRUE(holds(refused(path_), "the file is over 16 MiB"));
}

// --- secrets

TEST(ConfigSecrets, AppearInNoMessageAndNoDump) {
  const std::vector<std::string> fields = {
      R"("password": "canary")",
      R"("url": "redis://u:canary@h:1/2")",
      R"("url": "http://u:canary@h")",
      R"("url": "redis://u:canary@h", "socket": "/s")",
      R"("host": "redis://u:canary@h")",
      R"("pasword": "canary")",
      R"("port": "canary")",
      R"("timeout": "canary")",
      R"("password": ["canary"])",
      R"("password": {"canary": 1})",
      R"("username": "x\ncanary")",
      R"("client_name": "redis://u:canary@h")",
  };
  for (const std::string& field : fields) {
    const std::string json = "{\"connections\": {\"c\": {\"driver\": \"redis\", " + field + "}}}";
    EXPECT_FALSE(holds(refusal(json), "canary")) << field;
    const bool readable = holds(field, "\"password\"") || holds(field, "\"url\"") || holds(field, "://");
    if (readable) {
      EXPECT_FALSE(holds(to_json(Config::from_json(json)), "canary")) << field;
    }
  }
  EXPECT_FALSE(
      holds(refusal(R"({"stores": {"a": {"driver": "redis", "connection": "redis://u:canary@h"}}})"), "canary"));
  EXPECT_FALSE(holds(refusal(R"({"default": "redis://u:canary@h"})"), "canary"));
  EXPECT_FALSE(holds(refusal(R"({"stores": {"a": {"driver": "redis://u:canary@h"}}})"), "canary"));
  EXPECT_FALSE(holds(refusal("{\"connections\": {\"c\": {\"password\": \"canary"), "canary"));
  EXPECT_FALSE(holds(refusal(R"({"connections": {"c": {"driver": "redis", "password": 424242}}})"), "424242"));
}

TEST(ConfigSecrets, OfVariablesAreNotShownWhereAWordWasWanted) {
  const Variable secret("FLUX_TEST_A", "canary");
  for (const char* json : {R"({"stores": {"a": {"driver": "${FLUX_TEST_A}"}}})",
                           R"({"stores": {"a": {"driver": "redis", "connection": "${FLUX_TEST_A}"}}})",
                           R"({"stores": {"a": {"driver": "redis", "on_error": "${FLUX_TEST_A}"}}})",
                           R"({"stores": {"a": {"driver": "redis", "serializer": "${FLUX_TEST_A}"}}})",
                           R"({"stores": {"a": {"driver": "tiered", "stores": ["${FLUX_TEST_A}"]}}})"}) {
    EXPECT_TRUE(holds(refusal(json), "the variable's value")) << refusal(json);
    EXPECT_FALSE(holds(refusal(json), "canary")) << refusal(json);
  }
}

TEST(ConfigDump, CanBeReadAgain) {
  const char* json =
      R"({"default": "b", "stores": {"b": {"driver": "memory", "max_size": 3}, "a": {"driver": "file", "path": "x"}},
      "connections": {"c": {"driver": "redis", "port": 1}}, "prefix": "p", "serialize": {"compress": true}, "limits": {"tags": 3}})";
  const std::string dump = to_json(Config::from_json(json));
  EXPECT_EQ(Settings::parse(dump), Settings::parse(json));
  EXPECT_EQ(to_json(Config::from_json(dump)), dump);
}

}  // namespace
}  // namespace flux::cache
