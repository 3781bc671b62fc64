#include <flux/cache/layers/chaos.hpp>
#include <flux/cache/testing/crowd.hpp>
#include <flux/cache/testing/fake_clock.hpp>
#include <flux/cache/testing/reference_store.hpp>
#include <flux/cache/testing/store_probe.hpp>

namespace flux::cache::testing {

using namespace std::chrono_literals;

class ChaosLayer : public ::testing::Test {
 protected:
  /// What became of `calls` puts, as a row of letters: w written, f failed, t timed out.
  static std::string puts(Chaos& chaos, int calls) {
    std::string row;
    for (int i = 0; i < calls; ++i) {
      const auto answer = chaos.put(Key("k"), {.value = integer(i)}, {});
      row += answer.ok() ? 'w' : (answer.error().code == Errc::timeout ? 't' : 'f');
    }
    return row;
  }

  StorePtr inner_ = make_reference();
  std::shared_ptr<Chaos> chaos_ = make_chaos(inner_);
  StoreProbe probe_{chaos_};
  StoreProbe truth_{inner_};
};

TEST_F(ChaosLayer, WithoutFaultsItChangesNothing) {
  probe_.put("k", text("v"));
  EXPECT_EQ(probe_.got("k"), R"(text "v")");
  EXPECT_EQ(chaos_->counts().failed + chaos_->counts().torn + chaos_->counts().lost_writes, 0u);
}

TEST_F(ChaosLayer, FailsTheNextCallsWithTheErrorAskedFor) {
  chaos_->fail_next(2, Errc::rejected);
  for (int i = 0; i < 2; ++i) {
    const auto answer = chaos_->put(Key("k"), {.value = text("v")}, {});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, Errc::rejected);
    EXPECT_EQ(answer.error().operation, "put");
    EXPECT_EQ(answer.error().key, "k");
  }
  EXPECT_FALSE(truth_.has("k"));
  EXPECT_TRUE(probe_.put("k", text("v")));
  EXPECT_EQ(chaos_->counts().failed, 2u);
}

TEST_F(ChaosLayer, EveryFunctionCanFail) {
  chaos_->set({.fail_rate = 1, .error = Errc::timeout});
  const Key key("k");
  const auto nothing = [](const Entry&) {};
  EXPECT_EQ(chaos_->get(key, {}, nothing).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->put(key, {}, {}).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->forget(key, {}).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->flush({}).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->has(key).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->pull(key, {}, nothing).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->touch(key, {}).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->increment(key, 1, {}).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->get_many({&key, 1}, {}, [](std::size_t, const Entry&) {}).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->forget_many({&key, 1}).error().code, Errc::timeout);
  EXPECT_EQ(chaos_->scan(Space::values, [](std::string_view, const Entry&) { return true; }).error().code,
            Errc::timeout);
  EXPECT_EQ(chaos_->prune(1).error().code, Errc::timeout);
  const Item item{key, {.value = integer(1)}};
  const auto batch = chaos_->put_many({&item, 1});
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->failed, std::vector<std::size_t>{0});
}

TEST_F(ChaosLayer, ARateFailsThatPartOfTheCalls) {
  chaos_->set({.fail_rate = 0.3});
  puts(*chaos_, 2000);
  const auto failed = chaos_->counts().failed;
  EXPECT_GT(failed, 500u);
  EXPECT_LT(failed, 700u);
}

TEST_F(ChaosLayer, TheSameSeedGivesTheSameFaultsAndAnotherOthers) {
  const auto row = [](std::uint64_t seed) {
    return puts(*make_chaos(make_reference(), {.seed = seed, .fail_rate = 0.3, .lost_reply_rate = 0.3}), 200);
  };
  EXPECT_EQ(row(7), row(7));
  EXPECT_NE(row(7), row(8));
}

TEST_F(ChaosLayer, ALostReplyIsATimeoutOfAWriteThatWasMade) {
  chaos_->lose_next_replies(1);
  EXPECT_EQ(puts(*chaos_, 2), "tw");
  chaos_->set({.lost_reply_rate = 1});
  const auto answer = chaos_->put(Key("lost"), {.value = text("v")}, {});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Errc::timeout);
  EXPECT_EQ(truth_.got("lost"), R"(text "v")");
  EXPECT_EQ(chaos_->forget(Key("lost"), {}).error().code, Errc::timeout);
  EXPECT_FALSE(truth_.has("lost"));
  EXPECT_EQ(chaos_->counts().lost_replies, 3u);
}

TEST_F(ChaosLayer, ALostWriteIsAnsweredAsIfItWereMade) {
  chaos_->set({.lost_write_rate = 1});
  EXPECT_TRUE(probe_.put("k", text("v")));
  EXPECT_FALSE(truth_.has("k"));
  EXPECT_EQ(chaos_->counts().lost_writes, 1u);
}

TEST_F(ChaosLayer, ATornReadIsCutOrHasOneBitFlipped) {
  const std::string whole(100, 'x');
  truth_.put("k", bytes(whole));
  int cut = 0, flipped = 0;
  for (int i = 0; i < 100; ++i) {
    chaos_->tear_next(1);
    const auto torn = probe_.entry("k");
    ASSERT_TRUE(torn);
    const std::string seen(torn->view().value.text);
    ASSERT_NE(seen, whole);
    if (seen.size() < whole.size()) {
      EXPECT_EQ(seen, whole.substr(0, seen.size()));
      ++cut;
    } else {
      int bits = 0;
      for (std::size_t at = 0; at < whole.size(); ++at)
        bits += __builtin_popcount(static_cast<unsigned char>(seen[at] ^ whole[at]));
      EXPECT_EQ(bits, 1);
      ++flipped;
    }
  }
  EXPECT_GT(cut, 20);
  EXPECT_GT(flipped, 20);
  EXPECT_EQ(truth_.got("k"), show(bytes(whole)));
}

TEST_F(ChaosLayer, NumbersAndEmptyTextCannotTear) {
  chaos_->set({.torn_rate = 1});
  truth_.put("n", integer(5)), truth_.put("empty", text(""));
  EXPECT_EQ(probe_.got("n"), "integer 5");
  EXPECT_EQ(probe_.got("empty"), R"(text "")");
  EXPECT_EQ(chaos_->counts().torn, 0u);
}

TEST_F(ChaosLayer, ADelayIsWaitedOutAsTheTestSays) {
  FakeClock clock;
  const Instant before = clock.now();
  chaos_->set({.delay_rate = 1, .delay = 5ms, .wait = [&](Duration length) { clock.travel(length); }});
  probe_.put("k", text("v")), probe_.got("k");
  EXPECT_EQ(clock.now() - before, 10ms);
  EXPECT_EQ(chaos_->counts().delayed, 2u);
}

TEST_F(ChaosLayer, ManyThreadsTakeNoMoreFaultsThanWereAskedFor) {
  chaos_->fail_next(100);
  const long failed = run_on_threads(8, [&] {
    long failed = 0;
    for (int i = 0; i < 100; ++i) failed += !chaos_->has(Key("k")).ok();
    return failed;
  });
  EXPECT_EQ(failed, 100);
}

TEST_F(ChaosLayer, FaultsCanBeChangedWhileItIsUsed) {
  run_on_threads(4, [&](int index) {
    for (int i = 0; i < 200; ++i) {
      if (index == 0)
        chaos_->set({.fail_rate = i % 2 == 0 ? 0.5 : 0.0});
      else
        (void)chaos_->put(Key("k"), {.value = integer(i)}, {});
    }
  });
  EXPECT_EQ(chaos_->counts().calls, 600u);
}

}  // namespace flux::cache::testing
