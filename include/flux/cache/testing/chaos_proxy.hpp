// flux/cache/testing/chaos_proxy.hpp - a relay in front of a server, which fails on demand.
//
// It listens on a free port of the loopback and passes on what it hears, until it is told to do otherwise. What it does
// to a reply it does to bytes as they come from the server, whatever protocol they are in.
#pragma once
#include <flux/cache/clock.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// What goes wrong.
enum class ProxyFault : std::uint8_t {
  none,
  refuse,        ///< nobody listens, and who was connected is cut off
  reset,         ///< whoever says something is cut off
  black_hole,    ///< connections are taken, words swallowed, nothing is answered
  drip,          ///< replies come byte by byte, `ChaosProxy::pause` apart
  half_reply,    ///< the first half of a reply comes, then silence
  wrong_reply,   ///< `ChaosProxy::instead` comes in place of a reply
  double_reply,  ///< each reply comes twice
};

/// Thread-safe. Its connections, and its thread, end with it.
class FLUX_CACHE_API ChaosProxy {
 public:
  /// In front of a server on TCP. Throws std::system_error where there is no port to be had.
  ChaosProxy(std::string host, std::uint16_t port);
  ~ChaosProxy();
  ChaosProxy(const ChaosProxy&) = delete;
  ChaosProxy& operator=(const ChaosProxy&) = delete;

  std::uint16_t port() const noexcept;
  /// From now on, for old connections and new ones.
  void set(ProxyFault fault);
  /// Between two bytes of a drip; at first 5 ms.
  void pause(Duration length);
  /// Each reply is held back for a random time up to this; at first 0.
  void hold(Duration longest);
  /// What comes in place of a reply; at first what a web server says.
  void instead(std::string bytes);
  /// Cuts off all who are connected, without a farewell.
  void cut();
  /// How many have connected so far.
  std::uint64_t accepted() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
