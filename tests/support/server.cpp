#include "support/server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <thread>

#include "support/servers.hpp"

namespace flux::cache {
inline namespace v1 {
namespace testing {

namespace {

std::string reason;

bool is_in_path(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Below those that the system gives to whoever connects: a server that is restarted must find its port free, and who
// calls while it is away must not be connected to himself.
std::uint16_t free_port() {
  static std::minstd_rand random(std::random_device{}());
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto port = static_cast<std::uint16_t>(std::uniform_int_distribution(10'000, 32'000)(random));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    const bool is_free = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (is_free) return port;
  }
  return 0;
}

void fill_in(std::string& word, const std::string& mark, const std::string& what) {
  for (std::size_t at = word.find(mark); at != word.npos; at = word.find(mark)) word.replace(at, mark.size(), what);
}

}  // namespace

const std::string& Server::why_not() { return reason; }

Server::Server(Command command) : command_(std::move(command)), owner_(::getpid()) {}

Server::~Server() {
  if (::getpid() == owner_) kill();
}

std::unique_ptr<Server> Server::start(Command command) {
  if (!is_in_path(command.words.front())) {
    reason = command.words.front() + " is not in PATH";
    return nullptr;
  }
  std::unique_ptr<Server> server(new Server(std::move(command)));
  for (int attempt = 0; attempt < 10; ++attempt) {
    server->port_ = free_port();
    server->second_port_ = free_port();
    if (server->run()) return server;
  }
  std::ifstream log(server->directory() + "log");
  std::ostringstream said;
  said << log.rdbuf();
  reason = server->command_.name + " does not start: " + said.str();
  return nullptr;
}

std::unique_ptr<Server> Server::redis(std::vector<std::string> more) {
  Command command{"redis",
                  {"redis-server", "--bind", "127.0.0.1", "--port", "@PORT@", "--unixsocket", "@SOCKET@", "--save", "",
                   "--appendonly", "no", "--dir", "@DIRECTORY@"}};
  command.words.insert(command.words.end(), more.begin(), more.end());
  return start(std::move(command));
}

std::unique_ptr<Server> Server::memcached(std::vector<std::string> more) {
  Command command{"memcached", {"memcached", "-l", "127.0.0.1", "-p", "@PORT@", "-U", "0", "-m", "1024"}};
  if (::geteuid() == 0) command.words.insert(command.words.end(), {"-u", "root"});
  command.words.insert(command.words.end(), more.begin(), more.end());
  return start(std::move(command));
}

bool Server::run() {
  std::vector<std::string> words = command_.words;
  for (std::string& word : words) {
    fill_in(word, "@PORT@", std::to_string(port_));
    fill_in(word, "@SECOND_PORT@", std::to_string(second_port_));
    fill_in(word, "@SOCKET@", socket());
    fill_in(word, "@DIRECTORY@", directory());
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = directory() + "log";
  const ::pid_t parent = ::getpid();

  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out, 1), ::dup2(out, 2);
    ::execvp(arguments.front(), arguments.data());
    ::_exit(127);
  }
  for (int i = 0; i < 1'000 && pid_ > 0; ++i) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = 0;
      return false;
    }
    if (is_up()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill();
  return false;
}

// By port, or by socket: memcached listens on one of them.
bool Server::is_up() const {
  const auto takes = [](const auto& address) {
    const auto* const any = reinterpret_cast<const sockaddr*>(&address);
    const int fd = ::socket(any->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_there = ::connect(fd, any, sizeof address) == 0;
    ::close(fd);
    return is_there;
  };
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  socket().copy(path.sun_path, sizeof path.sun_path - 1);
  return takes(loopback(port_)) || takes(path);
}

// The signal is on its way when kill returns; the stop is not there before the parent hears of it.
void Server::pause() {
  if (pid_ > 0 && ::kill(pid_, SIGSTOP) == 0) ::waitpid(pid_, nullptr, WUNTRACED);
}

void Server::resume() {
  if (pid_ > 0) ::kill(pid_, SIGCONT);
}

void Server::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

bool Server::restart() {
  kill();
  ::unlink(socket().c_str());
  for (int attempt = 0; attempt < 50; ++attempt) {
    if (run()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

namespace {

const SharedServer* shared(const std::optional<Address>& given,
                           std::unique_ptr<Server> (*start)(std::vector<std::string>)) {
  if (given) return new SharedServer{given->host, given->port};
  static std::vector<std::unique_ptr<Server>> own;  // ends them with the program
  auto server = start({});
  if (server == nullptr) return nullptr;
  own.push_back(std::move(server));
  return new SharedServer{own.back()->host(), own.back()->port()};
}

}  // namespace

const SharedServer* shared_redis() {
  static const SharedServer* const one = shared(redis_server(), &Server::redis);
  return one;
}

const SharedServer* shared_memcached() {
  static const SharedServer* const one = shared(memcached_server(), &Server::memcached);
  return one;
}

std::string unique_prefix() {
  static std::atomic<int> count{0};
  return "t" + std::to_string(::getpid()) + "_" + std::to_string(++count) + "_" +
         std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()) + ":";
}

}  // namespace testing
}  // namespace v1
}  // namespace flux::cache
