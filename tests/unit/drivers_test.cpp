// drivers.hpp: the table, and stores of one's own.
#include <gtest/gtest.h>
#include <flux/cache/drivers.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/stores/null.hpp>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace drivers_test {

struct Retry {
  int times = 1;
  flux::cache::Duration pause{};
};

enum class Mood { calm, wild };

struct MineConfig {
  std::string prefix{};
  std::string color = "red";
  std::vector<Retry> retries{};
  Retry last{};
  double part = 0.5;
  bool deep = false;
  Mood mood = Mood::calm;
  std::function<void()> listener{};

  flux::cache::Result<void> validate() const {
    if (color == "green" && part == 0)
      return flux::cache::Error{flux::cache::Errc::bad_config, "green wants a part", {}, {}, "part"};
    if (color == "green" && part == 1)
      return flux::cache::Error{flux::cache::Errc::bad_config, "part: green wants less"};
    if (last.times == 9) return flux::cache::Error{flux::cache::Errc::bad_config, "too much in all"};
    return {};
  }
};

void describe(flux::cache::Fields& fields, Retry& retry) {
  fields.integer("times", retry.times, 1, 9);
  fields.duration("pause", retry.pause);
}

void describe(flux::cache::Fields& fields, MineConfig& config) {
  fields.driver("mine");
  fields.word("color", config.color, {"red", "green"});
  fields.each("retries", config.retries);
  fields.group("last", config.last);
  fields.real("part", config.part, 0, 1);
  fields.flag("deep", config.deep);
  fields.choice("mood", config.mood, {{"calm", Mood::calm}, {"wild", Mood::wild}});
  fields.common(config);
}

}  // namespace drivers_test

namespace flux::cache {
namespace {

using drivers_test::MineConfig;
using namespace std::chrono_literals;

/// The message of what `call` throws, or "".
template <class Call>
std::string refusal(Call call) {
  try {
    call();
    return {};
  } catch (const ConfigError& error) {
    return error.error().message;
  }
}

/// A driver in the process's table for the length of a scope.
class Extended {
 public:
  template <class Add>
  Extended(std::string name, Add add) : name_(std::move(name)) {
    add(drivers(), name_);
  }
  ~Extended() { drivers().forget(name_); }

 private:
  std::string name_;
};

DriverContext context_of(const Config& config, std::string name) {
  return {std::move(name), config, system_clock(), [](std::string_view) { return make_null(); }};
}

TEST(Drivers, KnowTheDocumentedOnesInEveryBuild) {
  for (const char* name : {"memory", "file", "database", "redis", "memcached", "distributed", "tiered", "null"})
    EXPECT_NE(drivers().find(name), nullptr) << name;
  EXPECT_NE(drivers().find_connection("sqlite"), nullptr);
  EXPECT_NE(drivers().find_connection("redis"), nullptr);
  EXPECT_EQ(drivers().find("mongo"), nullptr);
}

TEST(Drivers, OfAnotherBuildAreUnderstoodButMakeNothing) {
  DriverTable table;
  table.know<RedisConfig>("redis");
  const Config config = Config::from_json(R"({"stores": {"a": {"driver": "redis"}}})");
  EXPECT_EQ(refusal([&] { (void)table.make(context_of(config, "a")); }),
            "/stores/a/driver: the driver \"redis\" is not in this build");
}

TEST(Drivers, OfOnesOwnGetTheirSettings) {
  const Extended mine("mine", [](DriverTable& table, const std::string& name) {
    table.extend(name, [](const DriverContext& context) {
      EXPECT_EQ(context.name(), "m");
      EXPECT_EQ(context.driver(), "mine");
      EXPECT_EQ(context.prefix(), "app:p:");
      EXPECT_EQ(context.settings().find("anything")->integer(), 3);
      EXPECT_EQ(&context.clock(), &system_clock());
      EXPECT_NE(context.store("other"), nullptr);
      return make_null();
    });
  });
  const Config config = checked(
      Config::from_json(R"({"prefix": "app", "stores": {"m": {"driver": "mine", "anything": 3, "prefix": "p"}}})"));
  EXPECT_NE(drivers().make(context_of(config, "m")), nullptr);
}

TEST(Drivers, WithoutAStructAreCheckedForWhatEveryStoreMayBeTold) {
  const Extended mine("mine", [](DriverTable& table, const std::string& name) {
    table.extend(name, [](const DriverContext&) { return make_null(); });
  });
  EXPECT_EQ(refusal([] { validate(Config::from_json(R"({"stores": {"m": {"driver": "mine", "ttl": -1, "x": 1}}})")); }),
            "/stores/m/ttl: expected a lifetime above zero: seconds, or text such as \"90s\", \"5m\", \"forever\", "
            "found -1 (line 1)");
}

TEST(Drivers, WithAStructAreReadStrictly) {
  const Extended mine("mine", [](DriverTable& table, const std::string& name) {
    table.add<MineConfig>(name, [](const MineConfig& config, const DriverContext&) {
      EXPECT_EQ(config.color, "green");
      EXPECT_EQ(config.retries.size(), 2u);
      EXPECT_EQ(config.retries[1].pause, 2s);
      EXPECT_EQ(config.last.times, 4);
      EXPECT_EQ(config.part, 0.25);
      EXPECT_TRUE(config.deep);
      return make_null();
    });
  });
  const auto message = [](const std::string& fields) {
    return refusal(
        [&] { validate(Config::from_json("{\"stores\": {\"m\": {\"driver\": \"mine\", " + fields + "}}}")); });
  };
  EXPECT_EQ(message(R"("retries": [{"times": 10}])"),
            "/stores/m/retries/0/times: expected an integer from 1 to 9, found 10 (line 1)");
  EXPECT_EQ(message(R"("retries": [{"tims": 1}])"),
            "/stores/m/retries/0/tims: unknown key (did you mean \"times\"?) (line 1)");
  EXPECT_EQ(message(R"("retries": [1])"), "/stores/m/retries/0: expected a map, found 1 (line 1)");
  EXPECT_EQ(message(R"("last": [])"), "/stores/m/last: expected a map, found a list (line 1)");
  EXPECT_EQ(message(R"("last": {"pause": "-1s"})"), "/stores/m/last/pause: at least 0s is needed (line 1)");
  EXPECT_EQ(message(R"("part": 1.5)"), "/stores/m/part: expected a number from 0.0 to 1.0, found 1.5 (line 1)");
  EXPECT_EQ(message(R"("deep": 1)"), "/stores/m/deep: expected true or false, found 1 (line 1)");
  EXPECT_EQ(message(R"("tl": 1)"), "/stores/m/tl: unknown key (did you mean \"ttl\"?) (line 1)");

  Config config{
      .stores = {
          {"m",
           MineConfig{
               .color = "green", .retries = {{}, {.pause = 2s}}, .last = {.times = 4}, .part = 0.25, .deep = true}}}};
  config = checked(config);
  EXPECT_NE(drivers().make(context_of(config, "m")), nullptr);
}

TEST(Drivers, ReadWordsAsEnumerations) {
  const auto mood = [](const char* json) { return from_settings<MineConfig>(Settings::parse(json)).mood; };
  EXPECT_EQ(mood(R"({"mood": "wild"})"), drivers_test::Mood::wild);
  EXPECT_EQ(mood("{}"), drivers_test::Mood::calm);
  EXPECT_EQ(refusal([&] { (void)mood(R"({"mood": "wid"})"); }),
            "/mood: \"wid\" is not one of calm or wild (did you mean \"wild\"?) (line 1)");
  EXPECT_EQ(to_settings(MineConfig{.mood = drivers_test::Mood::wild}),
            Settings::parse(R"({"driver": "mine", "mood": "wild"})"));
  EXPECT_NE(refusal([] {
              (void)from_settings<MineConfig>(to_settings(MineConfig{.mood = static_cast<drivers_test::Mood>(7)}));
            }),
            "");
}

TEST(Drivers, LetAStructValidateItself) {
  const Extended mine("mine", [](DriverTable& table, const std::string& name) {
    table.add<MineConfig>(name, [](const MineConfig&, const DriverContext&) { return make_null(); });
  });
  const auto message = [](const MineConfig& config) {
    return refusal([&] { validate(Config{.stores = {{"m", config}}}); });
  };
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({.color = "green", .part = 0}), "/stores/m/part: green wants a part");
  EXPECT_EQ(message({.color = "green", .part = 1}), "/stores/m/part: green wants less");
  EXPECT_EQ(message({.last = {.times = 9}}), "/stores/m: too much in all");
}

TEST(Drivers, GetAStructWithAllThatCannotBeWrittenDown) {
  int heard = 0;
  const Extended mine("mine", [](DriverTable& table, const std::string& name) {
    table.add<MineConfig>(name, [](const MineConfig& config, const DriverContext&) {
      EXPECT_EQ(config.part, 0.125);
      config.listener();
      return make_null();
    });
  });
  const Config config = checked(Config{.stores = {{"m", MineConfig{.part = 0.125, .listener = [&] { ++heard; }}}}});
  EXPECT_NE(drivers().make(context_of(config, "m")), nullptr);
  EXPECT_EQ(heard, 1);
  EXPECT_EQ(config.stores.find("m")->given<RedisConfig>(), nullptr);
}

TEST(Drivers, ThatMakeNothingAreNamed) {
  DriverTable table;
  table.extend("mine", [](const DriverContext&) { return StorePtr(); });
  const Config config = Config::from_json(R"({"stores": {"m": {"driver": "mine"}, "n": {"driver": "gone"}}})");
  EXPECT_EQ(refusal([&] { (void)table.make(context_of(config, "m")); }),
            "/stores/m/driver: the driver \"mine\" made no store");
  EXPECT_EQ(refusal([&] { (void)table.make(context_of(config, "n")); }),
            "/stores/n/driver: there is no driver \"gone\"");
  EXPECT_EQ(refusal([&] { (void)context_of(config, "x"); }), "there is no store \"x\"");
}

TEST(Drivers, NeedANameAndAFactory) {
  DriverTable table;
  EXPECT_NE(refusal([&] { table.extend("", [](const DriverContext&) { return make_null(); }); }), "");
  EXPECT_NE(refusal([&] { table.extend("x", nullptr); }), "");
}

TEST(Drivers, CanBeReplacedAndTakenOut) {
  DriverTable table;
  table.extend("mine", [](const DriverContext&) { return StorePtr(); });
  table.extend("mine", [](const DriverContext&) { return make_null(); });
  const Config config = Config::from_json(R"({"stores": {"m": {"driver": "mine"}}})");
  EXPECT_NE(table.make(context_of(config, "m")), nullptr);
  EXPECT_TRUE(table.forget("mine"));
  EXPECT_FALSE(table.forget("mine"));
}

TEST(Drivers, LetOthersAddSerializersAndCompressors) {
  EXPECT_NE(refusal([] {
              validate(Config::from_json(R"({"stores": {"m": {"driver": "memory", "serializer": "cbor_test"}}})"));
            }),
            "");
  drivers().allow_serializer("cbor_test");
  drivers().allow_compressor("lz4_test");
  EXPECT_EQ(refusal([] {
              validate(Config::from_json(
                  R"({"stores": {"m": {"driver": "memory", "serializer": "cbor_test", "compression": "lz4_test"}}})"));
            }),
            "");
}

/// Of somebody else.
class Runes final : public Format {
 public:
  Runes(std::string_view name, Id id, bool is_open) : name_(name), id_(id), is_open_(is_open) {}
  std::string_view name() const noexcept override { return name_; }
  Id id() const noexcept override { return id_; }
  bool self_describing() const noexcept override { return is_open_; }
  Result<void> encode(const Type&, const void*, std::string&, const EncodeOptions&) const override { return {}; }
  Result<std::shared_ptr<void>> decode(const Type&, std::string_view, const Limits&) const override {
    return std::shared_ptr<void>();
  }

 private:
  const std::string_view name_;
  const Id id_;
  const bool is_open_;
};

TEST(Drivers, OfOthersWritePlainDocumentsWithFormatsThatCanBeReadWithoutAFrame) {
  static const Runes secret("secret_runes", 230, false), open("open_runes", 231, true);
  for (const Runes* const runes : {&secret, &open}) {
    ASSERT_TRUE(formats().add(*runes));
    drivers().allow_serializer(std::string(runes->name()));
  }
  drivers().extend("loose_runes", [](const DriverContext&) { return make_null(); });
  const auto refused = [](const std::string& more) {
    return refusal([&] {
      validate(Config::from_json(R"({"stores": {"m": {"driver": "loose_runes", "frame": false)" + more + "}}}"));
    });
  };
  EXPECT_EQ(refused(R"(, "serializer": "secret_runes")"),
            "/stores/m/frame: plain documents need a serializer that others can read, and \"secret_runes\" is none; "
            "write \"serializer\": \"json\" or \"msgpack\" beside it, or leave \"frame\" out (line 1)");
  EXPECT_EQ(refused(R"(, "serializer": "open_runes")"), "");
  EXPECT_NE(refused(""), "");
  EXPECT_TRUE(drivers().forget("loose_runes"));
}

TEST(Drivers, FindTheConnectionThatAStoreNames) {
  const Config config = Config::from_json(R"({"stores": {"a": {"driver": "redis"}},
      "connections": {"default": {"driver": "redis", "port": 1}, "c": {"driver": "redis", "port": 2}}})");
  const DriverContext context = context_of(config, "a");
  EXPECT_EQ(context.read_connection<RedisConnection>("").port, 1);
  EXPECT_EQ(context.read_connection<RedisConnection>("c").port, 2);
  EXPECT_NE(refusal([&] { (void)context.connection("gone"); }), "");
  const Config bare = Config::from_json(R"({"stores": {"a": {"driver": "redis"}}})");
  EXPECT_EQ(context_of(bare, "a").read_connection<RedisConnection>("").port, 6379);
}

TEST(Drivers, AreSafeForManyThreads) {
  DriverTable table;
  const Config config = Config::from_json(R"({"stores": {"m": {"driver": "mine"}}})");
  table.extend("mine", [](const DriverContext&) { return make_null(); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 500; ++round) {
        table.extend("mine", [](const DriverContext&) { return make_null(); });
        table.extend("other" + std::to_string(i), [](const DriverContext&) { return make_null(); });
        EXPECT_NE(table.make(context_of(config, "m")), nullptr);
        EXPECT_FALSE(table.names().empty());
        EXPECT_TRUE(table.forget("other" + std::to_string(i)));
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace flux::cache
