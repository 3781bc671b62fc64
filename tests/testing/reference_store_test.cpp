// What of the reference store the contract does not say.
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_probe.hpp>

namespace flux::cache::testing {

using namespace std::chrono_literals;

TEST(ReferenceStore, SaysInItsTraitsWhatItWasMadeFor) {
  EXPECT_TRUE(make_reference()->traits().objects);
  EXPECT_FALSE(make_reference({.objects = false})->traits().objects);
  EXPECT_EQ(make_reference()->traits().kind, "reference");
}

TEST(ReferenceStore, SharesTheVeryObject) {
  const StorePtr store = make_reference();
  static const Type type{.name = "an int"};
  const Object object = std::make_shared<const int>(7);
  const StoreProbe probe(store);
  probe.put("k", {.kind = Kind::object, .type = &type, .object = &object});
  const auto there = probe.entry("k");
  ASSERT_TRUE(there);
  EXPECT_EQ(there->view().value.object->get(), object.get());
}

TEST(ReferenceStore, PruneTakesNoMoreThanItsBudget) {
  FakeClock clock;
  const StoreProbe probe(make_reference({.clock = &clock}));
  for (int i = 0; i < 10; ++i) probe.put("k" + std::to_string(i), text("v"), Expiry::at(clock.now() + 1s));
  clock.travel(1s);
  EXPECT_EQ(probe.prune(4), 4u);
  EXPECT_EQ(probe.prune(), 6u);
  EXPECT_EQ(probe.prune(), 0u);
}

TEST(ReferenceStore, AReceiverMayCallTheStore) {
  const StorePtr store = make_reference();
  const StoreProbe probe(store);
  probe.put("k", integer(1));
  ASSERT_TRUE(store->get(Key("k"), {}, [&](const Entry&) { probe.put("k", integer(2)); }).ok());
  EXPECT_EQ(probe.got("k"), "integer 2");
}

}  // namespace flux::cache::testing
