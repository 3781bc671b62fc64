// tests/support/server.hpp - a real server of a test's own: on a free loopback port and a unix socket, in a folder of
// its own, and gone when the test program is, however it ends.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/scratch_directory.hpp"
#include "support/servers.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

/// A program that listens. Not for several threads at once. A child of fork that inherits one leaves it alone.
class Server {
 public:
  /// What to run: "@PORT@", "@SECOND_PORT@", "@DIRECTORY@" and "@SOCKET@" in the words are filled in.
  struct Command {
    std::string name;
    std::vector<std::string> words;
  };

  /// Runs it until it takes connections. Null, and `why_not` says why, where its program is not in PATH or it does not
  /// come up.
  static std::unique_ptr<Server> start(Command command);
  /// The same, for these two, with further words.
  static std::unique_ptr<Server> redis(std::vector<std::string> more = {});
  static std::unique_ptr<Server> memcached(std::vector<std::string> more = {});
  static const std::string& why_not();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  const std::string& host() const { return host_; }
  std::uint16_t port() const { return port_; }
  std::uint16_t second_port() const { return second_port_; }
  std::string socket() const { return directory_ / "socket"; }
  std::string directory() const { return directory_ / ""; }
  ::pid_t pid() const { return pid_; }

  void pause();    ///< SIGSTOP: it takes connections, and answers nothing
  void resume();   ///< SIGCONT
  void kill();     ///< SIGKILL, and waits for its end
  bool restart();  ///< ends it if it runs, and starts it anew on the same port; empty unless it saved what it had

 private:
  explicit Server(Command command);
  bool run();
  bool is_up() const;

  Command command_;
  ScratchDirectory directory_;
  std::string host_ = "127.0.0.1";
  std::uint16_t port_ = 0;
  std::uint16_t second_port_ = 0;
  ::pid_t pid_ = 0;
  ::pid_t owner_ = 0;
};

/// The redis server that tests may share: the one in FLUX_TEST_REDIS, else one of this process's own. Null: none.
struct SharedServer {
  std::string host;
  std::uint16_t port = 0;
};
const SharedServer* shared_redis();
const SharedServer* shared_memcached();

/// A prefix that nobody else uses on a server.
std::string unique_prefix();

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
