// The contract is worth what it finds: on each seeded bug it fails, by the name of the test that is there for it, and
// on the sound store it passes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace {

struct Bug {
  const char* name;
  const char* found_by;
};

void PrintTo(const Bug& bug, std::ostream* out) { *out << bug.name; }

struct Outcome {
  int exit_code = -1;
  std::string output;
};

/// `variable` says which of the two sets of bugs it is of.
Outcome run_contract(const std::string& bug, const std::string& filter,
                     const std::string& variable = "FLUX_CACHE_SEEDED_BUG") {
  const std::string command =
      variable + "=" + bug + " '" SEEDED_BUGS "' --gtest_color=no '--gtest_filter=" + filter + "' 2>&1";
  Outcome run;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return run;
  char buffer[4096];
  while (const std::size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) run.output.append(buffer, size);
  const int status = ::pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return run;
}

class SeededBug : public ::testing::TestWithParam<Bug> {};

}  // namespace

TEST_P(SeededBug, IsFoundByTheTestThatIsThereForIt) {
  const Outcome run = run_contract(GetParam().name, "*." + std::string(GetParam().found_by) + "/*");
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_NE(run.output.find("[  FAILED  ] Seeded/StoreContract." + std::string(GetParam().found_by) + "/"),
            std::string::npos)
      << run.output;
}

INSTANTIATE_TEST_SUITE_P(
    Contract, SeededBug,
    ::testing::Values(Bug{"alive_at_the_deadline", "AnEntryLivesUntilItsDeadlineAndIsGoneAtIt"},
                      Bug{"old_lifetime_inherited", "AShorterLifeReplacesALongerOne"},
                      Bug{"add_checks_then_writes", "AddSucceedsForExactlyOneOfManyThreads"},
                      Bug{"swap_checks_then_writes", "OfManySwapsOfOneVersionOneSucceeds"},
                      Bug{"increment_reads_then_writes", "CountersAreExactOverManyThreads"},
                      Bug{"increment_renews_the_life", "ACounterKeepsTheLifeItHas"},
                      Bug{"counters_wrap", "ACounterAtItsLimitOverflowsAndStays"},
                      Bug{"text_counts_from_zero", "AnythingElseIsNotANumberAndStaysAsItIs"},
                      Bug{"pull_reads_then_forgets", "PullHandsTheValueToExactlyOneOfManyThreads"},
                      Bug{"flush_takes_the_locks", "FlushLeavesTagsLocksAndLimitsAlone"},
                      Bug{"flush_leaves_what_is_kept", "FlushTakesWhatIsKeptPastItsLife"},
                      Bug{"flush_comes_late", "AfterAFlushNothingPutBeforeItIsVisible"},
                      Bug{"keys_lower_case", "KeysThatDifferInCaseAreApart"},
                      Bug{"keys_cut_at_250", "LongKeysThatDifferInTheirLastByteAreApart"},
                      Bug{"keys_cut_at_zero", "NastyKeysAreAllApart"}, Bug{"keys_trimmed", "NastyKeysAreAllApart"},
                      Bug{"one_space_for_all", "TheSameTextInFourSpacesIsFourEntries"},
                      Bug{"versions_start_again", "WhenUnchangedRefusesWhatWasForgottenAndPutAgain"},
                      Bug{"forget_answers_true_for_the_dead", "ForgettingWhatIsKeptRemovesItAndAnswersFalse"},
                      Bug{"forget_ignores_the_version", "ForgetByVersionRemovesThatVersionAlone"},
                      Bug{"touch_revives", "TouchRevivesNothing"},
                      Bug{"touch_drops_the_tags", "TouchLeavesValueTagsAndNotesAsTheyWere"},
                      Bug{"numeric_text_becomes_a_number", "TextThatLooksLikeANumberStaysText"},
                      Bug{"unsigned_becomes_signed", "UnsignedIntegersAboveTheSignedRangeComeBack"},
                      Bug{"values_are_cut_at_zero", "TextOfAnyBytesComesBack"},
                      Bug{"notes_are_lost", "NotesComeBackUpToTheirLimit"},
                      Bug{"tags_are_sorted", "TagsComeBackInTheirOrder"},
                      Bug{"a_batch_answers_a_repeated_key_once", "GetManyAnswersEachIndexOfARepeatedKey"},
                      Bug{"a_batch_keeps_the_first_of_a_repeated_key", "PutManyOfARepeatedKeyKeepsTheLast"},
                      Bug{"forget_many_counts_the_dead", "ForgettingManyCountsOnlyWhatLivedAndRemovesTheRest"},
                      Bug{"add_fears_what_is_kept", "AddWritesOverWhatIsKeptPastItsLife"},
                      Bug{"stale_reads_see_only_the_fresh", "PastItsLifeAnEntryIsKeptForStaleReadsAlone"},
                      Bug{"scan_lists_all_spaces", "ScanListsTheKeptEntriesOfOneSpace"},
                      Bug{"half_of_a_value_is_visible", "AReaderNeverSeesHalfAValue"},
                      Bug{"goes_by_the_wall", "AWallThatGoesBackDoesNotLengthenLives"}),
    [](const ::testing::TestParamInfo<Bug>& info) { return std::string(info.param.name); });

/// Bugs that a test of one fact would also find, found by the random walk alone.
class SeededBugInTheWalk : public ::testing::TestWithParam<Bug> {};

TEST_P(SeededBugInTheWalk, IsFoundByRandomOperationsWithTheirSeed) {
  const Outcome run = run_contract(GetParam().name, "*.RandomOperationsAnswerWhatTheReferenceAnswers/*");
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_NE(run.output.find("FLUX_CACHE_SEED="), std::string::npos) << run.output;
}

INSTANTIATE_TEST_SUITE_P(Contract, SeededBugInTheWalk,
                         ::testing::Values(Bug{"alive_at_the_deadline", ""}, Bug{"old_lifetime_inherited", ""},
                                           Bug{"increment_renews_the_life", ""}, Bug{"keys_lower_case", ""},
                                           Bug{"one_space_for_all", ""}, Bug{"forget_ignores_the_version", ""},
                                           Bug{"touch_revives", ""}, Bug{"notes_are_lost", ""},
                                           Bug{"forget_many_counts_the_dead", ""},
                                           Bug{"flush_leaves_what_is_kept", ""}),
                         [](const ::testing::TestParamInfo<Bug>& info) { return std::string(info.param.name); });

TEST(ContractOnASoundStore, Passes) {
  for (const char* const sound : {"none", "none_by_five"}) {
    const Outcome run = run_contract(sound, "*");
    EXPECT_EQ(run.exit_code, 0) << run.output;
    EXPECT_NE(run.output.find("[  PASSED  ]"), std::string::npos) << run.output;
  }
}

/// Bugs in a store's tags, found by the random walk under tags.
class SeededTagBug : public ::testing::TestWithParam<const char*> {};

TEST_P(SeededTagBug, IsFoundByRandomWritersWithTheirSeed) {
  const Outcome run =
      run_contract(GetParam(), "*.RandomWritersUnderTagsSeeWhatMustLiveAndNothingElse/*", "FLUX_CACHE_SEEDED_TAG_BUG");
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_NE(run.output.find("FLUX_CACHE_SEED="), std::string::npos) << run.output;
}

INSTANTIATE_TEST_SUITE_P(Contract, SeededTagBug,
                         ::testing::Values("one_tag_is_lost", "epochs_are_read_after_the_load",
                                           "batches_are_stamped_anew", "one_of_two_tags_is_flushed",
                                           "all_of_is_taken_for_any_of", "the_third_tag_of_a_flush_is_ignored",
                                           "tags_of_the_old_value_are_kept", "a_new_value_is_not_relabelled",
                                           "add_fears_the_flushed", "a_flushed_counter_counts_on"),
                         [](const ::testing::TestParamInfo<const char*>& info) { return std::string(info.param); });

TEST(ContractOnSoundTags, Passes) {
  const Outcome run = run_contract("none", "SeededTags*", "FLUX_CACHE_SEEDED_TAG_BUG");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_NE(run.output.find("[  PASSED  ]"), std::string::npos) << run.output;
}

/// Operations that a flush overtakes, found by the rounds that are there for them, of everything and of tags alike.
class SeededFlushBug : public ::testing::TestWithParam<Bug> {};

TEST_P(SeededFlushBug, IsFoundByTheRoundsThatAreThereForIt) {
  for (const std::string flush : {"AFlushEndsWhatOthers", "AFlushOfItsTagsEndsWhatOthers"}) {
    const std::string test = "StoreContract." + flush + GetParam().found_by + "/";
    const Outcome run = run_contract(GetParam().name, "SeededFlush/" + test + "*", "FLUX_CACHE_SEEDED_FLUSH_BUG");
    EXPECT_EQ(run.exit_code, 1) << run.output;
    EXPECT_NE(run.output.find("[  FAILED  ] SeededFlush/" + test), std::string::npos) << run.output;
  }
}

INSTANTIATE_TEST_SUITE_P(Contract, SeededFlushBug,
                         ::testing::Values(Bug{"touch_writes_it_back", "Touch"},
                                           Bug{"replacement_looks_then_writes", "ReplaceWhereItIs"},
                                           Bug{"swap_looks_then_writes", "SwapByItsVersion"},
                                           Bug{"counter_reads_then_writes", "CountWith"},
                                           Bug{"add_fears_the_flushed", "AddTo"}, Bug{"has_is_remembered", "Read"}),
                         [](const ::testing::TestParamInfo<Bug>& info) { return std::string(info.param.name); });

TEST(ContractOnSoundFlushes, Passes) {
  const Outcome run = run_contract("none", "SeededFlush*EndsWhatOthers*", "FLUX_CACHE_SEEDED_FLUSH_BUG");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_NE(run.output.find("[  PASSED  ]"), std::string::npos) << run.output;
}
