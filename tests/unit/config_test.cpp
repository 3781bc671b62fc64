// config.hpp: JSON and C++ structs through one strict reading.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <flux/cache/drivers.hpp>
#include <flux/cache/stores/null.hpp>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

/// Sets a variable of the environment for the length of a scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

/// The message of the refusal, or "" where the configuration was accepted.
std::string refusal(const Config& config) {
  try {
    validate(config);
    return {};
  } catch (const ConfigError& error) {
    return error.error().message;
  }
}

std::string refusal(std::string_view json) {
  try {
    return refusal(Config::from_json(json));
  } catch (const ConfigError& error) {
    return error.error().message;
  }
}

std::string refusal_of_store(const std::string& fields) { return refusal("{\"stores\": {\"a\": {" + fields + "}}}"); }

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

template <class Struct>
Struct read_store(const std::string& json) {
  return from_settings<Struct>(Settings::parse(json));
}

TEST(Config, ReadsEveryKeyAtTheTop) {
  const Config config = Config::from_json(R"({
    "default": "b",
    "stores": {"b": {"driver": "memory"}, "a": {"driver": "file", "path": "p"}},
    "connections": {"c": {"driver": "sqlite"}},
    "prefix": "app",
    "serialize": {"compress": true, "algorithm": "gzip", "serializer": "json", "threshold": "4KiB"},
    "limits": {"key": "1KiB", "tags": 8, "tag": 32}})");
  EXPECT_EQ(config.default_store, "b");
  EXPECT_EQ(config.stores.begin()->first, "b");
  EXPECT_EQ(config.stores.size(), 2u);
  EXPECT_EQ(config.stores.find("a")->driver(), "file");
  EXPECT_EQ(config.connections.find("c")->driver(), "sqlite");
  EXPECT_EQ(config.prefix, "app");
  EXPECT_TRUE(config.serialize.compress);
  EXPECT_EQ(config.serialize.algorithm, "gzip");
  EXPECT_EQ(config.serialize.serializer, "json");
  EXPECT_EQ(config.serialize.threshold, 4096u);
  EXPECT_EQ(config.limits.key, 1024u);
  EXPECT_EQ(config.limits.tags, 8);
  EXPECT_EQ(config.limits.tag, 32u);
}

TEST(Config, RefusesAtTheTopWhatItDoesNotKnow) {
  EXPECT_EQ(refusal(R"({"store": {}})"), "/store: unknown key (did you mean \"stores\"?) (line 1)");
  EXPECT_EQ(refusal("[]"), "expected a map, found a list (line 1)");
  EXPECT_EQ(refusal(R"({"stores": []})"), "/stores: expected a map, found a list (line 1)");
  EXPECT_EQ(refusal(R"({"stores": {"a": 1}})"), "/stores/a: expected a map, found 1 (line 1)");
  EXPECT_EQ(refusal(R"({"default": 1})"), "/default: expected text, found an integer (line 1)");
  EXPECT_EQ(refusal(R"({"serialize": {"algorithm": "rar"}})"),
            "/serialize/algorithm: \"rar\" is no compressor; known are gzip, none or zstd (line 1)");
  EXPECT_EQ(refusal(R"({"serialize": {"algorithm": "default"}})"),
            "/serialize/algorithm: this is where the default is named (line 1)");
  EXPECT_EQ(refusal(R"({"limits": {"tags": 0}})"),
            "/limits/tags: expected an integer from 1 to 10000, found 0 (line 1)");
  EXPECT_EQ(refusal(R"({"limits": {"key": "17MiB"}})"), "/limits/key: at most 16 MiB is possible (line 1)");
}

TEST(Config, NamesEveryMistakeAtOnce) {
  const std::string message = refusal(
      "{\n \"default\": \"nope\",\n \"stores\": {\n  \"a\": {\"driver\": \"memory\", \"max_size\": -1},\n"
      "  \"b\": {\"driver\": \"redis\", \"conection\": 1}}}");
  EXPECT_EQ(message,
            "/default: there is no store \"nope\"\n"
            "/stores/a/max_size: expected an integer of at least 0, found -1 (line 4)\n"
            "/stores/b/conection: unknown key (did you mean \"connection\"?) (line 5)");
}

TEST(Config, StopsCountingMistakesAtTwenty) {
  std::string json = R"({"stores": {"a": {"driver": "memory")";
  for (int i = 0; i < 100; ++i) json += ", \"unknown" + std::to_string(i) + "\": 1";
  const std::string message = refusal(json + "}}}");
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 20);
  EXPECT_TRUE(holds(message, "and perhaps more"));
}

TEST(Config, TakesTheOnlyStoreAsTheDefault) {
  EXPECT_EQ(checked(Config::from_json(R"({"stores": {"x": {"driver": "memory"}}})")).default_store, "x");
  EXPECT_EQ(refusal(R"({"stores": {"x": {"driver": "memory"}, "y": {"driver": "memory"}}})"),
            "/default: missing: which of the stores is the default? There are x or y");
}

TEST(Config, HasAMemoryStoreWhereItHasNone) {
  for (const char* json : {"{}", R"({"default": "memory", "stores": {}})"}) {
    const Config config = checked(Config::from_json(json));
    EXPECT_EQ(config.default_store, "memory");
    EXPECT_EQ(config.stores.find("memory")->driver(), "memory");
  }
}

TEST(Config, ChecksDriversByName) {
  EXPECT_TRUE(
      holds(refusal_of_store(R"("driver": "mongo")"), "/stores/a/driver: there is no driver \"mongo\"; known are"));
  EXPECT_TRUE(holds(refusal_of_store(R"("driver": "memroy")"), "did you mean \"memory\"?"));
  EXPECT_TRUE(holds(refusal_of_store(R"("path": "x")"), "/stores/a/driver: missing"));
  EXPECT_TRUE(holds(refusal_of_store(R"("driver": 5)"), "/stores/a/driver: expected a driver's name"));
  EXPECT_TRUE(
      holds(refusal(R"({"connections": {"c": {"driver": "mysql"}}})"), "/connections/c/driver: there is no driver"));
  EXPECT_TRUE(holds(refusal(R"({"connections": {"c": {}}})"), "/connections/c/driver: missing"));
}

TEST(Config, ChecksTheNamesOfStores) {
  EXPECT_TRUE(holds(refusal(R"({"stores": {"": {"driver": "memory"}}})"), "/stores/: a name is 1 to 64 bytes long"));
  EXPECT_TRUE(holds(refusal(R"({"stores": {"a\nb": {"driver": "memory"}}})"), "/stores/a\\x0ab: a name"));
  EXPECT_TRUE(
      holds(refusal("{\"stores\": {\"" + std::string(65, 'a') + "\": {\"driver\": \"memory\"}}}"), "a name is"));
  Config twice{.stores = {{"a", MemoryConfig{}}, {"a", MemoryConfig{}}}};
  EXPECT_TRUE(holds(refusal(twice), "/stores/a: the name stands here twice"));
}

TEST(Config, EscapesPointersAsTheRfcHasIt) {
  EXPECT_TRUE(
      holds(refusal(R"({"stores": {"a/b~c": {"driver": "memory", "x": 1}}})"), "/stores/a~1b~0c/x: unknown key"));
}

TEST(Config, ChecksConnectionsByNameAndKind) {
  EXPECT_EQ(refusal_of_store(R"("driver": "redis", "connection": "gone")"),
            "/stores/a/connection: there is no connection \"gone\" (line 1)");
  EXPECT_EQ(
      refusal(
          R"({"stores": {"a": {"driver": "redis", "connection": "c"}}, "connections": {"c": {"driver": "sqlite"}}})"),
      "/stores/a/connection: the connection \"c\" has the driver \"sqlite\"; this store needs redis (line 1)");
  EXPECT_EQ(
      refusal(R"({"stores": {"a": {"driver": "database"}}, "connections": {"default": {"driver": "redis"}}})"),
      "/stores/a/connection: the connection \"default\" has the driver \"redis\"; this store needs sqlite (line 1)");
  EXPECT_EQ(refusal_of_store(R"("driver": "database", "connection": null)"), "");
  EXPECT_EQ(refusal_of_store(R"("driver": "redis")"), "");
}

TEST(Config, ChecksTheStoresOfAComposite) {
  const auto composite = [](const std::string& fields) {
    return refusal(R"({"default": "m", "stores": {"m": {"driver": "memory"}, "n": {"driver": "memory"}, "a": {)" +
                   fields + "}}}");
  };
  EXPECT_EQ(composite(R"("driver": "distributed", "stores": ["m", "n"])"), "");
  EXPECT_EQ(composite(R"("driver": "distributed")"), "/stores/a/stores: missing: which stores? (line 1)");
  EXPECT_EQ(composite(R"("driver": "tiered", "stores": [])"), "/stores/a/stores: names no store (line 1)");
  EXPECT_EQ(composite(R"("driver": "tiered", "stores": "m")"),
            "/stores/a/stores: expected a list of stores' names, found text (line 1)");
  EXPECT_EQ(composite(R"("driver": "tiered", "stores": ["m", "mm"])"),
            "/stores/a/stores/1: there is no store \"mm\" (did you mean \"m\"?) (line 1)");
  EXPECT_EQ(composite(R"("driver": "tiered", "stores": ["m", "m"])"),
            "/stores/a/stores/1: the store \"m\" stands here twice (line 1)");
  EXPECT_EQ(composite(R"("driver": "tiered", "stores": ["m", 1])"),
            "/stores/a/stores/1: expected a store's name, found 1 (line 1)");
  EXPECT_EQ(composite(R"("driver": "distributed", "stores": ["m"], "prefix": "x")"),
            "/stores/a/prefix: unknown key (line 1)");
  EXPECT_EQ(composite(R"("driver": "distributed", "stores": ["m"], "weights": [1, 2])"),
            "/stores/a/weights: there are as many weights as stores (line 1)");
  EXPECT_EQ(composite(R"("driver": "distributed", "stores": ["m", "n"], "weights": [1, 0])"),
            "/stores/a/weights/1: expected an integer from 1 to 1000000, found 0 (line 1)\n"
            "/stores/a/weights: there are as many weights as stores (line 1)");
  EXPECT_EQ(composite(R"("driver": "distributed", "stores": ["m"], "authority": "n")"),
            "/stores/a/authority: is none of the stores (line 1)");
  EXPECT_EQ(composite(R"("driver": "distributed", "stores": ["m"], "strategy": "replicat")"),
            "/stores/a/strategy: \"replicat\" is not one of replicate, sharding or primary (did you mean "
            "\"replicate\"?) (line 1)");
  EXPECT_EQ(composite(R"("driver": "tiered", "stores": ["m", "n"], "ttl": [2, null])"), "");
  EXPECT_EQ(composite(R"("driver": "tiered", "stores": ["m"], "ttl": [2, null])"),
            "/stores/a/ttl: there are more lifetimes than stores (line 1)");
}

TEST(Config, RefusesAStoreInsideItself) {
  EXPECT_EQ(refusal_of_store(R"("driver": "distributed", "stores": ["a"])"),
            "/stores/a/stores/0: the store \"a\" is inside itself: a > a (line 1)");
  EXPECT_EQ(refusal(R"({"default": "a", "stores": {"a": {"driver": "tiered", "stores": ["b"]},
      "b": {"driver": "tiered", "stores": ["c"]}, "c": {"driver": "tiered", "stores": ["b"]}}})"),
            "/stores/c/stores/0: the store \"b\" is inside itself: b > c > b (line 2)");
}

TEST(Config, LetsTwoCompositesShareAStore) {
  EXPECT_EQ(
      refusal(R"({"default": "a", "stores": {"m": {"driver": "memory"}, "b": {"driver": "tiered", "stores": ["m"]},
      "c": {"driver": "tiered", "stores": ["m"]}, "a": {"driver": "tiered", "stores": ["b", "c", "m"]}}})"),
      "");
}

TEST(Config, ChecksAThousandNestedStoresWithoutHarm) {
  std::string json = R"({"default": "s0", "stores": {)";
  for (int i = 0; i < 999; ++i)
    json += "\"s" + std::to_string(i) + R"(": {"driver": "tiered", "stores": ["s)" + std::to_string(i + 1) + "\"]},";
  EXPECT_EQ(refusal(json + R"("s999": {"driver": "memory"}}})"), "");
  EXPECT_TRUE(
      holds(refusal(json + R"("s999": {"driver": "memory"}, "t": {"driver": "memory"}}})"), "/stores: more than 1000"));
}

TEST(Config, ReadsCommonFieldsOfEveryStore) {
  const std::string common =
      R"("prefix": "p", "serializer": "json", "compression": "gzip", "ttl": "90s", "on_error": "throw",
      "frame": false, "max_value": "1MiB", "prohibit_flush": true, "hash_keys": true, "timeout": "250ms")";
  for (const char* driver : {"memory", "file", "database", "redis", "memcached", "null"})
    EXPECT_EQ(refusal_of_store("\"driver\": \"" + std::string(driver) + "\", " + common), "") << driver;
  const auto config = read_store<RedisConfig>("{\"driver\": \"redis\", " + common + "}");
  EXPECT_EQ(config.prefix, "p");
  EXPECT_EQ(config.serializer, "json");
  EXPECT_EQ(config.compression, "gzip");
  EXPECT_EQ(config.ttl->length(), 90s);
  EXPECT_EQ(config.on_error, "throw");
  EXPECT_FALSE(config.frame);
  EXPECT_EQ(config.max_value, 1u << 20);
  EXPECT_TRUE(config.prohibit_flush);
  EXPECT_EQ(config.timeout, 250ms);
}

TEST(Config, ReadsDurationsAsSecondsOrWithTheirUnit) {
  const auto ttl = [](const std::string& value) {
    return read_store<MemoryConfig>(R"({"driver": "memory", "ttl": )" + value + "}").ttl;
  };
  EXPECT_EQ(ttl("3")->length(), 3s);
  EXPECT_EQ(ttl("0.25")->length(), 250ms);
  EXPECT_EQ(ttl("1e3")->length(), 1000s);
  EXPECT_EQ(ttl("\"7us\"")->length(), 7us);
  EXPECT_EQ(ttl("\"200ms\"")->length(), 200ms);
  EXPECT_EQ(ttl("\"1.5s\"")->length(), 1500ms);
  EXPECT_EQ(ttl("\"5m\"")->length(), 5min);
  EXPECT_EQ(ttl("\"5min\"")->length(), 5min);
  EXPECT_EQ(ttl("\"1h\"")->length(), 1h);
  EXPECT_EQ(ttl("\"2 d\"")->length(), 48h);
  EXPECT_EQ(ttl("\"1w\"")->length(), 168h);
  EXPECT_TRUE(ttl("\"forever\"")->is_forever());
  EXPECT_FALSE(ttl("null").has_value());
  for (const char* bad : {"\"\"",     "\"5\"",        "\"5 minutes\"", "\"5M\"",   "\"s\"",    "\"1h30m\"",
                          "\"1,5s\"", "\"5s\\r\\n\"", "\" 5s\"",       "\"0x5s\"", "\"infs\"", "\"nans\"",
                          "\"1.s\"",  "\"--1s\"",     "true",          "[]",       "1e300",    "\"300000000w\"",
                          "0",        "-1",           "\"-5s\"",       "\"0s\""}) {
    EXPECT_TRUE(holds(refusal_of_store("\"driver\": \"memory\", \"ttl\": " + std::string(bad)),
                      "/stores/a/ttl: expected a lifetime"))
        << bad;
  }
}

TEST(Config, ReadsSizesAsBytesOrWithTheirUnit) {
  const auto size = [](const std::string& value) {
    return read_store<MemoryConfig>(R"({"driver": "memory", "max_bytes": )" + value + "}").max_bytes;
  };
  EXPECT_EQ(size("512"), 512u);
  EXPECT_EQ(size("\"512B\""), 512u);
  EXPECT_EQ(size("\"1k\""), 1'000u);
  EXPECT_EQ(size("\"1KiB\""), 1'024u);
  EXPECT_EQ(size("\"64MiB\""), 64u << 20);
  EXPECT_EQ(size("\"64MB\""), 64'000'000u);
  EXPECT_EQ(size("\"1.5 GiB\""), 3u << 29);
  EXPECT_EQ(size("\"2tb\""), 2'000'000'000'000u);
  for (const char* bad :
       {"-1", "1.5", "\"512\"", "\"\"", "\"-1k\"", "\"1X\"", "\"1kk\"", "\"99999999TiB\"", "\"64MiB\\n\"", "{}"})
    EXPECT_TRUE(holds(refusal_of_store("\"driver\": \"memory\", \"max_bytes\": " + std::string(bad)),
                      "/stores/a/max_bytes: expected a size"))
        << bad;
}

TEST(Config, RefusesNumbersThatAreTexts) {
  EXPECT_EQ(refusal(R"({"connections": {"c": {"driver": "redis", "port": "6379\r\n"}}})"),
            "/connections/c/port: expected an integer from 1 to 65535, found text (line 1)");
  for (const char* field : {"port", "database", "pool_size"})
    for (const char* value : {"\"1\"", "\"1\\r\\nFLUSHALL\"", "1.0", "true", "[1]", "null,\"x\":1"})
      EXPECT_NE(
          refusal("{\"connections\": {\"c\": {\"driver\": \"redis\", \"" + std::string(field) + "\": " + value + "}}}"),
          "")
          << field << value;
  for (const char* value : {"\"100\"", "\"1\\r\\n\"", "0", "-1", "1000001"})
    EXPECT_TRUE(
        holds(refusal_of_store("\"driver\": \"memcached\", \"servers\": [{\"weight\": " + std::string(value) + "}]"),
              "/stores/a/servers/0/weight: expected an integer from 1 to 1000000"))
        << value;
}

TEST(Config, KeepsNumbersInTheirRange) {
  for (const char* port : {"0", "-1", "65536", "9223372036854775807"})
    EXPECT_TRUE(
        holds(refusal("{\"connections\": {\"c\": {\"driver\": \"redis\", \"port\": " + std::string(port) + "}}}"),
              "/connections/c/port: expected an integer from 1 to 65535, found " + std::string(port)));
  EXPECT_TRUE(holds(refusal(R"({"connections": {"c": {"driver": "redis", "timeout": 0}}})"), "at least 1ms is needed"));
}

TEST(Config, RefusesPrefixesThatCouldReachAProtocol) {
  for (const char* bad : {"a\\r\\n", "a b", "a\\u0000", "a\\u007f", "a\\t"}) {
    const std::string text = "\"" + std::string(bad) + "\"";
    EXPECT_TRUE(holds(refusal("{\"prefix\": " + text + "}"), "/prefix: a prefix holds no spaces")) << bad;
    EXPECT_TRUE(
        holds(refusal_of_store("\"driver\": \"redis\", \"prefix\": " + text), "/stores/a/prefix: a prefix holds"))
        << bad;
  }
  EXPECT_TRUE(holds(refusal(R"({"prefix": ")" + std::string(129, 'a') + "\"}"), "at most 128 bytes"));
  EXPECT_TRUE(holds(refusal(Config{.prefix = "a\xff"}), "/prefix: the text is not UTF-8"));
}

TEST(Config, RefusesTablesThatAreMoreThanAName) {
  for (const char* bad : {"x; DROP TABLE y", "a\\\"b", "a'b", "", "1a", "a.b.c", ".a", "a.", "a b", "a-b", "\\u00e4"})
    EXPECT_TRUE(holds(refusal_of_store("\"driver\": \"database\", \"table\": \"" + std::string(bad) + "\""),
                      "/stores/a/table: a table's name"))
        << bad;
  for (const char* good : {"cache", "_c1", "main.Cache_2"})
    EXPECT_EQ(refusal_of_store("\"driver\": \"database\", \"table\": \"" + std::string(good) + "\""), "") << good;
}

TEST(Config, RefusesHostsPathsAndUrlsThatAreNone) {
  const auto connection = [](const std::string& fields) {
    return refusal("{\"connections\": {\"c\": {\"driver\": \"redis\", " + fields + "}}}");
  };
  EXPECT_TRUE(holds(connection(R"("host": "a b")"), "/connections/c/host"));
  EXPECT_TRUE(holds(connection(R"("host": "")"), "/connections/c/host"));
  EXPECT_TRUE(
      holds(connection(R"("host": "redis://h")"), "/connections/c/host: a host is a name or an address, not a URL"));
  EXPECT_EQ(connection(R"("host": "::1")"), "");
  EXPECT_TRUE(holds(connection(R"("url": "http://h")"),
                    "/connections/c/url: expected a URL whose scheme is redis, rediss or unix"));
  EXPECT_TRUE(holds(connection(R"("url": "redis://")"), "/connections/c/url"));
  EXPECT_TRUE(holds(connection(R"("url": "redis://h", "socket": "s")"), "either a url or a socket"));
  EXPECT_EQ(connection(R"("url": "rediss://u:p@h:1/2")"), "");
  EXPECT_TRUE(holds(refusal_of_store(R"("driver": "file", "path": "")"), "/stores/a/path: a path is neither empty"));
  EXPECT_TRUE(
      holds(refusal_of_store(R"("driver": "file", "path": "a\u0000b")"), "/stores/a/path: a path is neither empty"));
}

TEST(Config, NamesSerializersAndCompressorsThatItDoesNotKnow) {
  EXPECT_EQ(refusal_of_store(R"("driver": "file", "serializer": "yaml")"),
            "/stores/a/serializer: \"yaml\" is no serializer; known are json, msgpack, native or pickle (line 1)");
  EXPECT_TRUE(holds(refusal_of_store(R"("driver": "file", "compression": "zst")"), "did you mean \"zstd\"?"));
  EXPECT_EQ(refusal_of_store(R"("driver": "file", "serializer": "pickle", "compression": true)"), "");
  EXPECT_TRUE(
      holds(refusal_of_store(R"("driver": "memcached", "serializer": "json", "options": {"serializer": "json"})"),
            "/stores/a/options: the serializer is named twice"));
}

TEST(Config, ReadsTheOptionsOfASqliteConnection) {
  const auto connection =
      from_settings<SqliteConnection>(Settings::parse(R"({"driver": "sqlite", "database": "x.sqlite",
      "busy_timeout": "2s", "synchronous": "full", "connections": 8, "on_corrupt": "refuse", "recheck": 0.5,
      "cache_bytes": "1MiB", "checkpoint_pages": 100})"));
  EXPECT_EQ(connection.database, "x.sqlite");
  EXPECT_EQ(connection.busy_timeout, 2s);
  EXPECT_EQ(connection.synchronous, Synchronous::full);
  EXPECT_EQ(connection.connections, 8u);
  EXPECT_EQ(connection.on_corrupt, OnCorrupt::refuse);
  EXPECT_EQ(connection.recheck, 500ms);
  EXPECT_EQ(connection.cache_bytes, 1u << 20);
  EXPECT_EQ(connection.checkpoint_pages, 100u);
  EXPECT_EQ(from_settings<SqliteConnection>(to_settings(connection)).on_corrupt, OnCorrupt::refuse);
  EXPECT_TRUE(holds(refusal(R"({"connections": {"c": {"driver": "sqlite", "synchronous": "of"}}})"),
                    "/connections/c/synchronous: \"of\" is not one of off, normal or full (did you mean \"off\"?)"));
}

TEST(Config, TakesALimitOnValuesForTheStoresOwn) {
  EXPECT_EQ(read_store<FileConfig>(R"({"driver": "file", "max_value": "1MiB"})").max_value, 1u << 20);
  EXPECT_EQ(read_store<FileConfig>(R"({"driver": "file", "max_value": 0})").max_value, FileConfig{}.max_value);
  EXPECT_EQ(read_store<DatabaseConfig>(R"({"driver": "database", "max_value": 5, "sweep": 7})").max_value, 5u);
}

TEST(Config, WantsAMemoryStoreToBeBounded) {
  EXPECT_TRUE(holds(refusal_of_store(R"("driver": "memory", "max_size": 0)"), "needs a bound"));
  EXPECT_EQ(refusal_of_store(R"("driver": "memory", "max_size": 0, "max_bytes": "64MiB")"), "");
}

// --- C++ structs

TEST(Config, ReadsStructsAsStrictlyAsJson) {
  EXPECT_EQ(refusal(Config{.stores = {{"a", MemoryConfig{.max_size = 0}}}}),
            "/stores/a/max_size: a memory store needs a bound: max_size or max_bytes above 0");
  EXPECT_EQ(refusal(Config{.stores = {{"a", RedisConfig{.prefix = "a b"}}}}),
            "/stores/a/prefix: a prefix holds no spaces and no control characters");
  EXPECT_EQ(refusal(Config{.stores = {{"a", MemoryConfig{.ttl = -1s}}}}),
            "/stores/a/ttl: expected a lifetime above zero: seconds, or text such as \"90s\", \"5m\", \"forever\", "
            "found text");
  EXPECT_EQ(refusal(Config{.connections = {{"c", RedisConnection{.port = 70'000}}}}),
            "/connections/c/port: expected an integer from 1 to 65535, found 70000");
  EXPECT_TRUE(holds(refusal(Config{.stores = {{"a", StoreConfig{}}}}), "/stores/a/driver: missing"));
  EXPECT_TRUE(holds(refusal(Config{.default_store = "b", .stores = {{"a", NullConfig{}}}}),
                    "/default: there is no store \"b\""));
  EXPECT_TRUE(holds(refusal(Config{.serialize = {.algorithm = "rar"}}), "rar"));
  EXPECT_TRUE(holds(refusal(Config{.stores = {{"a", MemoryConfig{.policy = ""}}}}), "/stores/a/policy"));
}

template <class Struct>
class ConfigStruct : public testing::Test {};
using Structs = testing::Types<MemoryConfig, FileConfig, DatabaseConfig, RedisConfig, MemcachedConfig,
                               DistributedConfig, TieredConfig, NullConfig, SqliteConnection, RedisConnection>;
TYPED_TEST_SUITE(ConfigStruct, Structs);

TYPED_TEST(ConfigStruct, SaysNothingButItsDriverWhereAllIsDefault) {
  const Settings settings = to_settings(TypeParam{});
  ASSERT_EQ(settings.size(), 1u) << settings.to_json();
  EXPECT_EQ(settings.name(0), "driver");
}

TEST(ConfigStructs, ComeBackAsTheyWentIn) {
  const RedisConnection given{.host = "h",
                              .port = 1,
                              .database = 2,
                              .username = "u",
                              .password = "p",
                              .socket = "/s",
                              .url = "",
                              .client_name = "n",
                              .timeout = 1234us,
                              .pool_size = 3};
  const auto back = from_settings<RedisConnection>(to_settings(given));
  EXPECT_EQ(back.host, "h");
  EXPECT_EQ(back.port, 1);
  EXPECT_EQ(back.database, 2);
  EXPECT_EQ(back.username, "u");
  EXPECT_EQ(back.password, "p");
  EXPECT_EQ(back.socket, "/s");
  EXPECT_EQ(back.client_name, "n");
  EXPECT_EQ(back.timeout, 1234us);
  EXPECT_EQ(back.pool_size, 3);

  const auto cached = from_settings<MemcachedConfig>(to_settings(
      MemcachedConfig{.servers = {{.host = "x", .port = 1, .weight = 2}, {}}, .options = {.compression = "gzip"}}));
  ASSERT_EQ(cached.servers.size(), 2u);
  EXPECT_EQ(cached.servers[0].host, "x");
  EXPECT_EQ(cached.servers[0].weight, 2);
  EXPECT_EQ(cached.servers[1].port, 11211);
  EXPECT_EQ(cached.options.compression, "gzip");

  const auto tiered = from_settings<TieredConfig>(
      to_settings(TieredConfig{.stores = {"a", "b", "c"}, .ttl = {2s, std::nullopt, Ttl::forever()}}));
  EXPECT_EQ(tiered.stores, (std::vector<std::string>{"a", "b", "c"}));
  ASSERT_EQ(tiered.ttl.size(), 3u);
  EXPECT_EQ(tiered.ttl[0]->length(), 2s);
  EXPECT_FALSE(tiered.ttl[1].has_value());
  EXPECT_TRUE(tiered.ttl[2]->is_forever());
}

TEST(ConfigStructs, SayTheSameAsTheirJson) {
  EXPECT_EQ(to_settings(MemoryConfig{.max_size = 10, .max_bytes = 1 << 20, .ttl = 90s}),
            Settings::parse(R"({"driver": "memory", "max_size": 10, "max_bytes": 1048576, "ttl": "90s"})"));
  EXPECT_EQ(to_settings(DistributedConfig{.stores = {"a"}, .strategy = "sharding"}),
            Settings::parse(R"({"driver": "distributed", "stores": ["a"], "strategy": "sharding"})"));
}

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

// --- rules and prefixes

TEST(StoreRules, ComeFromTheStoreFirstAndThenFromWhatStandsAroundIt) {
  const Config config = checked(Config::from_json(R"({"default": "plain", "prefix": "app",
    "stores": {
      "plain": {"driver": "file"},
      "own":   {"driver": "file", "prefix": "o:", "serializer": "pickle", "compression": "none", "ttl": 5, "on_error": "throw",
                "prohibit_flush": true, "hash_keys": true, "max_value": 10, "timeout": 1, "frame": false},
      "asked": {"driver": "file", "compression": true},
      "cold":  {"driver": "memcached", "options": {"compression": true, "serializer": "pickle"}},
      "near":  {"driver": "tiered", "stores": ["plain"], "ttl": [1]}},
    "serialize": {"compress": true, "algorithm": "gzip", "serializer": "json", "threshold": 99},
    "limits": {"key": 100, "tags": 5, "tag": 6}})"));
  const StoreRules plain = rules_of(config, "plain");
  EXPECT_EQ(plain.serializer, "json");
  EXPECT_EQ(plain.compression, "gzip");
  EXPECT_EQ(plain.compress_from, 99u);
  EXPECT_EQ(plain.prefix, "app:");
  EXPECT_FALSE(plain.bytes);
  EXPECT_TRUE(plain.frame);
  EXPECT_EQ(plain.repository.max_key_bytes, 100u);
  EXPECT_EQ(plain.repository.max_tags, 5u);
  EXPECT_EQ(plain.repository.max_tag_bytes, 6u);
  EXPECT_EQ(plain.repository.on_error, OnError::soft);

  const StoreRules own = rules_of(config, "own");
  EXPECT_EQ(own.serializer, "native");
  EXPECT_EQ(own.compression, "none");
  EXPECT_EQ(own.prefix, "app:o:");
  EXPECT_EQ(own.repository.ttl->length(), 5s);
  EXPECT_EQ(own.repository.on_error, OnError::raise);
  EXPECT_TRUE(own.repository.prohibit_flush);
  EXPECT_TRUE(own.repository.hash_keys);
  EXPECT_FALSE(plain.repository.hash_keys);
  EXPECT_EQ(own.max_value, 10u);
  EXPECT_EQ(own.timeout, 1s);
  EXPECT_FALSE(own.frame);
  EXPECT_TRUE(own.bytes);

  EXPECT_EQ(rules_of(config, "asked").compression, "gzip");
  EXPECT_EQ(rules_of(config, "cold").serializer, "native");
  EXPECT_EQ(rules_of(config, "cold").compression, "gzip");
  EXPECT_FALSE(rules_of(config, "near").repository.ttl.has_value());
}

TEST(Prefixes, AreComposedGlobalFirstEachClosedByAColon) {
  EXPECT_EQ(compose_prefix("flux", "flux_cache:"), "flux:flux_cache:");
  EXPECT_EQ(compose_prefix("flux:", "c"), "flux:c:");
  EXPECT_EQ(compose_prefix("", "a"), "a:");
  EXPECT_EQ(compose_prefix("a", ""), "a:");
  EXPECT_EQ(compose_prefix("", ""), "");
}

TEST(Prefixes, OfWhichOneBeginsTheOtherEarnAWarningOnASharedBackEnd) {
  const auto warnings = [](const char* json) { return checked(Config::from_json(json)).warnings; };
  const auto found = warnings(R"({"default": "a", "prefix": "app", "stores": {
      "a": {"driver": "redis"}, "b": {"driver": "redis", "prefix": "b", "connection": "default"}},
      "connections": {"default": {"driver": "redis"}}})");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(holds(found[0], "the stores \"a\" and \"b\" share a back end"));
  EXPECT_TRUE(
      warnings(
          R"({"default": "a", "stores": {"a": {"driver": "redis", "prefix": "x"}, "b": {"driver": "redis", "prefix": "y"}}})")
          .empty());
  EXPECT_TRUE(
      warnings(
          R"({"default": "a", "stores": {"a": {"driver": "redis", "prefix": "x"}, "b": {"driver": "redis", "prefix": "x"}}})")
          .empty());
  EXPECT_TRUE(
      warnings(
          R"({"default": "a", "stores": {"a": {"driver": "file", "path": "x"}, "b": {"driver": "file", "path": "y", "prefix": "p"}}})")
          .empty());
  Config twice = Config::from_json(
      R"({"default": "a", "stores": {"a": {"driver": "redis"}, "b": {"driver": "redis", "prefix": "y"}}})");
  EXPECT_EQ(checked(checked(twice)).warnings.size(), 1u);
}

TEST(ConfigSize, LargeAndHostileInputIsRefused) {
  EXPECT_TRUE(holds(refusal(std::string(100'000'000, '[')), "over 16 MiB"));
  EXPECT_TRUE(holds(refusal(std::string(1'000'000, '{')), "line 1"));
  std::string many = R"({"stores": {"a": {"driver": "tiered", "stores": [)";
  for (int i = 0; i < 150'000; ++i) many += "\"a\",";
  EXPECT_TRUE(holds(refusal(many + "\"a\"]}}}"), "stands here twice"));
}

}  // namespace
}  // namespace flux::cache
