// The manager: which layers it puts around the store that a driver made.
#include <gtest/gtest.h>
#include <flux/cache/decorator.hpp>
#include <flux/cache/drivers.hpp>
#include <flux/cache/manager.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/reference_store.hpp>

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
