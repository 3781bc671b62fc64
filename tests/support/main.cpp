// The main function of every test program. A test that is skipped says why on a line of its own, "SKIPPED name:
// reason", and a program all of whose tests were skipped ends with 77, so that nobody takes it for one that passed.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace {

class TellSkipped : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->Skipped()) return;
    std::string reason;
    for (int i = 0; i < test.result()->total_part_count(); ++i) {
      const auto& part = test.result()->GetTestPartResult(i);
      if (part.skipped()) reason = part.message();
    }
    std::printf("SKIPPED %s.%s: %s\n", test.test_suite_name(), test.name(), reason.c_str());
    std::fflush(stdout);
  }
};

}  // namespace

#if defined(__SANITIZE_THREAD__)
#define FLUX_TEST_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FLUX_TEST_TSAN
#endif
#endif
#ifdef FLUX_TEST_TSAN
/// Children of fork begin threads of their own, which the sanitizer does not expect.
/// Before a fork all locks of the library are taken, more than its search for deadlocks can note. Seen from outside,
/// for the sanitizer may be a shared library.
extern "C" [[gnu::visibility("default")]] const char* __tsan_default_options() {
  return "die_after_fork=0:detect_deadlocks=0";
}
/// OpenSSL works out a certificate's names on first use, behind atomics of its own that the sanitizer cannot see: the
/// library is not built for it.
extern "C" [[gnu::visibility("default")]] const char* __tsan_default_suppressions() {
  return "called_from_lib:libcrypto.so\n";
}
#endif

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  tests.listeners().Append(new TellSkipped);
  const int result = RUN_ALL_TESTS();
  if (result != 0) return result;
  return tests.skipped_test_count() > 0 && tests.skipped_test_count() == tests.test_to_run_count() ? 77 : 0;
}
