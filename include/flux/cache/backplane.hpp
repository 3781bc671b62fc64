// flux/cache/backplane.hpp - how caches in several processes tell each other what is no longer true.
//
// A backplane carries short messages to all who listen. It need not be reliable: what a listener may have missed, it
// must only say. What the messages mean is the tiered store's affair; messages that are repeated, out of order, of
// another application or no messages at all do no harm.
#pragma once
#include <flux/cache/detail/export.hpp>

#include <functional>
#include <memory>
#include <string_view>

namespace flux::cache {
inline namespace v1 {

/// Who listens. Calls come one at a time, from any thread, and may come while `subscribe` still runs.
struct BackplaneListener {
  /// A message, valid inside the call; one's own too.
  std::function<void(std::string_view message)> heard{};
  /// True: from here on every message is heard. False: messages may be missed until the next true.
  std::function<void(bool connected)> connection{};
};

/// Thread-safe. Implement it over whatever carries messages between the processes.
class FLUX_CACHE_TYPE Backplane {
 public:
  virtual ~Backplane();
  /// Sends to all who listen. False: it was not sent; the sender keeps it for later. Returns within the carrier's own
  /// timeout; never throws.
  virtual bool publish(std::string_view message) = 0;
  /// Hears until the answer goes out of scope; no call is under way once that has returned, but the one it is in.
  [[nodiscard]] virtual std::shared_ptr<void> subscribe(BackplaneListener listener) = 0;
  /// Called now and then, in any thread, by who listens and is cut off. A carrier with a thread of its own, which a
  /// fork has left with the parent, starts it anew here. Returns at once.
  virtual void revive() {}
};

/// Carries messages inside this process, at once and in the sender's thread: for tests, and for several managers in one
/// program. Each node is one participant's end.
class FLUX_CACHE_API InProcessBackplane {
 public:
  InProcessBackplane();
  ~InProcessBackplane();

  /// An end of one's own.
  class FLUX_CACHE_TYPE Node : public Backplane {
   public:
    /// Cuts this end off, or joins it again: nothing is sent or heard meanwhile.
    virtual void connect(bool connected) = 0;
  };
  std::shared_ptr<Node> node();
  /// Sends any bytes to all, as a stranger would.
  void inject(std::string_view bytes);
  /// How many messages went through.
  std::size_t messages() const;

 private:
  struct Hub;
  std::shared_ptr<Hub> hub_;
};

}  // namespace v1
}  // namespace flux::cache
