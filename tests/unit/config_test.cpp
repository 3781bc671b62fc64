// The configuration as a whole: keys at the top, drivers and connections by name, composites, what a store gets of it.
#include "config.hpp"

#include <vector>

namespace flux::cache {
namespace {

using namespace std::chrono_literals;

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

TEST(ConfigSize, LargeAndHostileInputIsRefused) {
  EXPECT_TRUE(holds(refusal(std::string(100'000'000, '[')), "over 16 MiB"));
  EXPECT_TRUE(holds(refusal(std::string(1'000'000, '{')), "line 1"));
  std::string many = R"({"stores": {"a": {"driver": "tiered", "stores": [)";
  for (int i = 0; i < 150'000; ++i) many += "\"a\",";
  EXPECT_TRUE(holds(refusal(many + "\"a\"]}}}"), "stands here twice"));
}

// --- rules and prefixes

TEST(StoreRules, ComeFromTheStoreFirstAndThenFromWhatStandsAroundIt) {
  const Config config = checked(Config::from_json(R"({"default": "plain", "prefix": "app",
    "stores": {
      "plain": {"driver": "file"},
      "own":   {"driver": "file", "prefix": "o:", "serializer": "msgpack", "compression": "none", "ttl": 5, "on_error": "throw",
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
  EXPECT_EQ(own.serializer, "msgpack");
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

}  // namespace
}  // namespace flux::cache
