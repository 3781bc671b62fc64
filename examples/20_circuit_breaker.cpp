// examples/20_circuit_breaker.cpp - stop asking what is down.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>

namespace cache = flux::cache;
using namespace std::chrono_literals;

int main() {
  int asked = 0;
  const auto broken = [&]() -> int {
    ++asked;
    throw std::runtime_error("no answer");
  };
  int answered_at_once = 0;
  // [breaker]
  cache::CircuitBreaker breaker({.failure_threshold = 3, .timeout = 30s});
  for (int i = 0; i < 10; ++i) {
    try {
      breaker.call(broken);
    } catch (const cache::CircuitOpen&) {
      ++answered_at_once;  // nothing was asked
    } catch (const std::exception&) {
      // the service's own error
    }
  }
  // [/breaker]
  std::cout << "asked " << asked << " times, spared " << answered_at_once << " times\n";
  return asked == 3 && answered_at_once == 7 ? 0 : 1;
}
