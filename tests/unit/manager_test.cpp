// The manager: when a store is built, and which layers it puts around what a driver made.
#include <gtest/gtest.h>
#include <flux/cache/compressor.hpp>
#include <flux/cache/decorator.hpp>
#include <flux/cache/drivers.hpp>
#include <flux/cache/format.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/reference_store.hpp>

#include <string>
#include <vector>

#include "support/scratch_directory.hpp"

namespace flux::cache {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

/// Counts what reaches it, and fails while told to.
class Patient final : public Decorator {
 public:
  Patient(StorePtr inner, bool remote) : Decorator(std::move(inner)), remote_(remote) {}

  Traits traits() const noexcept override {
    Traits traits = inner().traits();
    traits.remote = remote_;
    return traits;
  }
  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    ++calls;
    if (down) return Error{Errc::unavailable, "down", "patient", "get"};
    return inner().get(key, how, found);
  }

  int calls = 0;
  bool down = false;

 private:
  const bool remote_;
};

class Manager : public ::testing::Test {
 protected:
  ~Manager() override { drivers().forget("patient"); }

  StoreManager with(const std::string& more, bool remote = false) {
    drivers().extend("patient", [this, remote](const DriverContext&) {
      return patient_ =
                 std::make_shared<Patient>(testing::make_reference({.clock = &clock_, .objects = false}), remote);
    });
    return StoreManager(Config::from_json(R"({"stores": {"p": {"driver": "patient")" + more + "}}}"), clock_);
  }

  FakeClock clock_;
  std::shared_ptr<Patient> patient_;
};

TEST_F(Manager, BuildsAStoreOnceWhenItIsFirstAskedForAndAnewWhenItWasForgotten) {
  int built = 0;
  drivers().extend("patient",
                   [&](const DriverContext&) { return ++built, testing::make_reference({.clock = &clock_}); });
  const StoreManager manager(Config::from_json(R"({"stores": {"p": {"driver": "patient"}}})"), clock_);
  EXPECT_EQ(built, 0);
  const Repository first = manager.store();
  EXPECT_TRUE(first.put("k", 1));
  EXPECT_EQ(manager.store("p").get<int>("k"), 1);
  EXPECT_EQ(StoreManager(manager).store("p").store(), first.store());
  EXPECT_EQ(built, 1);

  manager.forget_store("p");
  EXPECT_EQ(built, 1);
  const Repository second = manager.store();
  EXPECT_EQ(manager.store("p").store(), second.store());
  EXPECT_EQ(built, 2);
  EXPECT_TRUE(second.missing("k"));
  EXPECT_TRUE(first.has("k")) << "who holds a repository keeps its store";
}

TEST_F(Manager, NamesAStoreThatThereIsNotAndThoseThatThereAre) {
  const StoreManager manager(
      Config::from_json(R"({"default": "near", "stores": {"near": {"driver": "memory"}, "off": {"driver": "null"}}})"));
  const auto refusal = [](auto call) -> std::string {
    try {
      call();
    } catch (const ConfigError& error) {
      return error.error().message;
    }
    return "taken";
  };
  const std::string told = "there is no store \"nera\"; there are: near, off";
  EXPECT_EQ(refusal([&] { (void)manager.store("nera"); }), told);
  EXPECT_EQ(refusal([&] { manager.forget_store("nera"); }), told);
}

TEST_F(Manager, ReadsUnderOneConfigurationWhatAnotherOneWrote) {
  const std::vector<std::string> hows = {
      R"("serializer": "native", "compression": "none")", R"("serializer": "json", "compression": "zstd")",
      R"("serializer": "msgpack", "compression": "gzip")", R"("serializer": "msgpack", "compression": "none")",
      R"("serializer": "native", "compression": "zstd")"};
  for (const char* const name : {"zstd", "gzip"})
    if (compressors().find(name) == nullptr) GTEST_SKIP() << "built without " << name;
  if (formats().find("msgpack") == nullptr) GTEST_SKIP() << "built without msgpack";
  std::vector<std::string> places = {R"("driver": "file", "path": "@/files")"};
  if (const auto database = drivers().find("database"); database != nullptr && database->make)
    places.push_back(R"("driver": "database")");
  const std::vector<std::vector<std::string>> rows(20, std::vector<std::string>(20, "a value that gets shorter"));
  const testing::ScratchDirectory directory;
  const auto open = [&](const std::string& place, const std::string& how) {
    std::string json = R"({"stores": {"s": {)" + place + ", " + how +
                       R"(}}, "connections": {"default": {"driver": "sqlite", "database": "@/cache.sqlite"}}})";
    for (std::size_t at = 0; (at = json.find('@', at)) != std::string::npos;) json.replace(at, 1, directory.path());
    return StoreManager(Config::from_json(json), clock_);
  };
  for (const std::string& place : places)
    for (std::size_t i = 0; i < hows.size(); ++i) {
      const StoreManager writer = open(place, hows[i]), reader = open(place, hows[(i + 1) % hows.size()]);
      SCOPED_TRACE(place + ": " + hows[i]);
      EXPECT_TRUE(writer.store().put_many({{"rows", rows}, {"text", std::string(5'000, 'x')}, {"number", 7}}, 1h));
      EXPECT_EQ(reader.store().get<std::vector<std::vector<std::string>>>("rows"), rows);
      EXPECT_EQ(reader.store().get<std::string>("text"), std::string(5'000, 'x'));
      EXPECT_EQ(reader.store().increment("number"), 8);
      EXPECT_EQ(writer.store().get<int>("number"), 8);
    }
}

TEST_F(Manager, PutsABreakerWhereTheConfigurationSaysSo) {
  const StoreManager manager = with(R"(, "circuit_breaker": {"failure_threshold": 3, "timeout": 60})");
  const Repository cache = manager.store();
  patient_->down = true;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(cache.get<int>("k"), std::nullopt);
  EXPECT_EQ(patient_->calls, 3);
  EXPECT_EQ(cache.try_get<int>("k").error().code, Errc::unavailable) << "as the store said last";

  patient_->down = false;
  clock_.travel(59s);
  EXPECT_EQ(cache.get<int>("k"), std::nullopt);
  EXPECT_EQ(patient_->calls, 3);
  clock_.travel(1s);
  EXPECT_EQ(cache.get<int>("k"), std::nullopt);
  EXPECT_EQ(patient_->calls, 4) << "the probe";
}

TEST_F(Manager, GuardsWhatIsRemoteUnasked) {
  const StoreManager manager = with("", true);
  const Repository cache = manager.store();
  patient_->down = true;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(cache.get<int>("k"), std::nullopt);
  EXPECT_EQ(patient_->calls, 5);
  patient_->down = false;
  clock_.travel(1s);
  EXPECT_TRUE(cache.put("k", 1, 1h));
  EXPECT_EQ(cache.get<int>("k"), 1);
}

TEST_F(Manager, LeavesTheBreakerOutWhereItsThresholdIsZeroOrTheStoreIsNear) {
  for (const bool remote : {false, true}) {
    const StoreManager manager = with(remote ? R"(, "circuit_breaker": {"failure_threshold": 0})" : "", remote);
    const Repository cache = manager.store();
    patient_->down = true;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(cache.get<int>("k"), std::nullopt);
    EXPECT_EQ(patient_->calls, 10);
  }
}

TEST_F(Manager, RefusesValuesOverMaxValueOnAnyStore) {
  const StoreManager manager = with(R"(, "max_value": 100)");
  const Repository cache = manager.store();
  EXPECT_TRUE(cache.put("short", std::string(50, 'x'), 1h));
  const auto refused = cache.try_put("long", std::string(101, 'x'), 1h);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::too_large);
  EXPECT_TRUE(cache.missing("long"));
}

TEST_F(Manager, NamesAFormatThatTheBuildLacks) {
  drivers().allow_serializer("morse");
  drivers().allow_compressor("wring");
  const auto refusal = [&](const std::string& more) -> std::string {
    try {
      (void)with(more).store();
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "taken";
  };
  EXPECT_NE(refusal(R"(, "serializer": "morse")").find("/stores/p: the serializer \"morse\" is not in this build"),
            std::string::npos);
  EXPECT_NE(refusal(R"(, "compression": "wring")").find("/stores/p: the compressor \"wring\" is not in this build"),
            std::string::npos);
}

}  // namespace
}  // namespace flux::cache
