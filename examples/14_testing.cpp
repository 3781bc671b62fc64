// examples/14_testing.cpp - tests that own the time: nothing sleeps, nothing is flaky.
#include <flux/cache.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <chrono>
#include <iostream>
#include <string>

namespace cache = flux::cache;
using namespace std::chrono_literals;

// What is to be tested: at most three tries in a minute.
class SignIn {
 public:
  explicit SignIn(cache::Repository cache) : cache_(std::move(cache)) {}
  bool may_try(const std::string& name) const { return cache_.increment("tries_" + name, 1, 1min) <= 3; }

 private:
  cache::Repository cache_;
};

int main() {
  // [clock]
  cache::testing::FakeClock clock;
  const cache::StoreManager manager({}, clock);
  const SignIn sign_in(manager.store());

  bool passed = true;
  auto expect = [&](bool good, const char* what) {
    std::cout << (good ? "passed: " : "FAILED: ") << what << '\n';
    passed = passed && good;
  };

  for (int i = 0; i < 3; ++i) expect(sign_in.may_try("ada"), "one of the first three tries");
  expect(!sign_in.may_try("ada"), "the fourth is refused");
  expect(sign_in.may_try("bob"), "others are not concerned");
  clock.travel(59s);
  expect(!sign_in.may_try("ada"), "still refused after 59 seconds");
  clock.travel(1s);
  expect(sign_in.may_try("ada"), "welcome again at the full minute");
  // [/clock]
  return passed ? 0 : 1;
}
