// Values in a configuration, each kind as strict as the other: durations, sizes, numbers, names, addresses.
#include "config.hpp"

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

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
  for (const char* bad : {"~", "~/cache"})
    EXPECT_EQ(refusal_of_store("\"driver\": \"file\", \"path\": \"" + std::string(bad) + "\""),
              "/stores/a/path: only a shell knows what ~ is; write ${HOME}, or ./~ for a folder of that name (line 1)");
  EXPECT_EQ(refusal_of_store(R"("driver": "file", "path": "./~/cache")"), "");
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

TEST(Config, RefusesPlainDocumentsOfAFormatThatNeedsItsFrame) {
  const std::string message =
      "/stores/a/frame: plain documents need a serializer that others can read, and \"native\" is none; write "
      "\"serializer\": \"json\" or \"msgpack\" beside it, or leave \"frame\" out";
  for (const char* driver : {"memory", "file", "database", "redis", "memcached", "null"})
    EXPECT_EQ(refusal_of_store("\"driver\": \"" + std::string(driver) + "\", \"frame\": false"), message + " (line 1)")
        << driver;
  for (const char* name : {"native", "pickle"})
    EXPECT_EQ(refusal(R"({"stores": {"a": {"driver": "file", "frame": false, "serializer": ")" + std::string(name) +
                      R"("}}, "serialize": {"serializer": "json"}})"),
              message + " (line 1)")
        << name;
  EXPECT_EQ(refusal_of_store(R"("driver": "memcached", "frame": false, "options": {"serializer": "native"})"),
            message + " (line 1)");
  EXPECT_EQ(refusal(Config{.stores = {{"a", RedisConfig{.frame = false}}}}), message);
  EXPECT_EQ(refusal(Config{.stores = {{"a", MemoryConfig{.serializer = "pickle", .frame = false}}}}), message);
  EXPECT_EQ(refusal_of_store(R"("driver": "file", "frame": false, "serializer": "yaml")"),
            refusal_of_store(R"("driver": "file", "serializer": "yaml")"))
      << "one mistake is told once";

  EXPECT_EQ(refusal_of_store(R"("driver": "redis", "frame": false, "serializer": "msgpack")"), "");
  EXPECT_EQ(refusal_of_store(R"("driver": "memcached", "frame": false, "options": {"serializer": "json"})"), "");
  EXPECT_EQ(refusal(R"({"stores": {"a": {"driver": "file", "frame": false}}, "serialize": {"serializer": "json"}})"),
            "");
  EXPECT_EQ(refusal(Config{.stores = {{"a", RedisConfig{.serializer = "json", .frame = false}}}}), "");
  EXPECT_EQ(refusal_of_store(R"("driver": "file", "frame": true, "serializer": "native")"), "");
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

}  // namespace
}  // namespace flux::cache
