#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/recorder.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_contract.hpp>

namespace flux::cache::testing {

INSTANTIATE_TEST_SUITE_P(Recorded, StoreContract,
                         ::testing::Values(ContractParam{.make = [](const Clock& clock) -> StorePtr {
                           return std::make_shared<Recorder>(make_reference({.clock = &clock}));
                         }}),
                         pipeline_name);

TEST(Recorder, WritesDownEachCallWithItsKeys) {
  const auto recorder = std::make_shared<Recorder>(make_reference());
  const StoreProbe probe(recorder);
  probe.put("a", integer(1)), probe.got("a"), probe.forget({"l", Space::locks});
  const auto calls = recorder->calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(recorder->story(), "put get forget");
  EXPECT_EQ(calls[0].keys, std::vector<std::string>{"a"});
  EXPECT_EQ(calls[2].space, Space::locks);
  EXPECT_TRUE(calls[2].ok);
}

TEST(Recorder, LeavesABatchOneCall) {
  const auto recorder = std::make_shared<Recorder>(make_reference());
  const StoreProbe probe(recorder);
  probe.put_many({{Key("a"), {.value = integer(1)}}, {Key("b"), {.value = integer(2)}}});
  probe.got_many({"a", "b", "c"}), probe.forget_many({"a", "b"});
  EXPECT_EQ(recorder->story(), "put_many get_many forget_many");
  EXPECT_EQ(recorder->calls()[1].keys, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Recorder, LeavesCompoundOperationsWhole) {
  const auto recorder = std::make_shared<Recorder>(make_reference());
  const StoreProbe probe(recorder);
  probe.increment("n"), probe.touch("n", {}), probe.has("n"), probe.pulled("n"), probe.flush(), probe.prune(),
      probe.list();
  EXPECT_EQ(recorder->story(), "increment touch has pull flush prune scan");
  EXPECT_EQ(recorder->count("pull"), 1u);
  recorder->clear();
  EXPECT_EQ(recorder->count(), 0u);
}

TEST(Recorder, TellsWhatWasAnsweredByAnError) {
  const auto recorder = std::make_shared<Recorder>(make_reference());
  const StoreProbe probe(recorder);
  probe.put("k", text("abc"));
  (void)recorder->increment(Key("k"), 1, {});
  const std::string_view tags[] = {"t"};
  (void)recorder->flush({tags});
  EXPECT_FALSE(recorder->calls()[1].ok);
  EXPECT_FALSE(recorder->calls()[2].ok);
  EXPECT_EQ(recorder->calls()[2].keys, std::vector<std::string>{"t"});
}

TEST(Recorder, LosesNoCallOfManyThreads) {
  const auto recorder = std::make_shared<Recorder>(make_reference());
  run_on_threads(8, [&] {
    for (int i = 0; i < 100; ++i) (void)recorder->has(Key("k"));
  });
  EXPECT_EQ(recorder->count("has"), 800u);
}

}  // namespace flux::cache::testing
