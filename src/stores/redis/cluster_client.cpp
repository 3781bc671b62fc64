#include "cluster_client.hpp"

#include <algorithm>
#include <optional>
#include <thread>

#include "cluster_node.hpp"
#include "core/random.hpp"
#include "redirect.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr int kMostHops = 5;
constexpr Duration kLeastAge = std::chrono::milliseconds(100);  // of what is known of the slots, to be learnt anew
constexpr Duration kGlance = std::chrono::milliseconds(1);

/// Until the deadline it was passed on, or asked to wait.
Error gave_up(const Error& why) {
  return {Errc::unavailable, "the cluster could not carry it out in time; at last " + why.message};
}

/// Where an attempt is merely cut off by the deadline, what the cluster said before it tells more. What was sent and
/// may have been carried out is in doubt, which only the timeout says.
std::unique_ptr<Error> cut_off(std::unique_ptr<Error> why, const Error* put_off, bool is_in_doubt) {
  if (put_off == nullptr || why->code != Errc::timeout || is_in_doubt) return why;
  return std::make_unique<Error>(gave_up(*put_off));
}

RedisConnection at(RedisConnection connection, const std::string& host, std::uint16_t port) {
  connection.host = host;
  connection.port = port;
  return connection;
}

}  // namespace

ClusterClient::ClusterClient(const RedisConnection& connection, Duration timeout)
    : Client(timeout), connection_(connection) {
  enlist();
  for (const RedisNode& seed : connection.seeds)
    seeds_.push_back(
        node_at(seed.host, static_cast<std::uint16_t>(seed.port == 0 ? 6379 : seed.port), ServerClient::Role::server));
  if (seeds_.empty())
    seeds_.push_back(node_at(connection.host, static_cast<std::uint16_t>(connection.port), ServerClient::Role::server));
}

ClusterClient::~ClusterClient() { delist(); }

void ClusterClient::after_fork(bool in_child) noexcept {
  if (in_child) {  // whoever was at it is gone
    is_refreshing_ = false;
    for (const auto& node : nodes_) node->breaker.reset();
  }
  mutex_.unlock();
}

// A node enlists its pool for forks, which waits for a fork that goes on, which waits for our mutex: so it is made, and
// perhaps dropped, outside.
ClusterClient::Node* ClusterClient::node_at(const std::string& host, std::uint16_t port, ServerClient::Role role) {
  const auto find = [&]() -> Node* {
    for (const auto& each : nodes_)
      if (each->role == role && each->client.endpoint().port == port && each->client.endpoint().host == host)
        return each.get();
    return nullptr;
  };
  {
    const std::scoped_lock lock(mutex_);
    if (Node* const known = find()) return known;
  }
  auto made = std::make_unique<Node>(at(connection_, host, port), timeout_, role);
  const std::scoped_lock lock(mutex_);
  if (Node* const known = find()) return known;
  nodes_.push_back(std::move(made));
  return nodes_.back().get();
}

std::vector<ClusterClient::Node*> ClusterClient::nodes() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Node*> all;
  for (const auto& each : nodes_) all.push_back(each.get());
  return all;
}

void ClusterClient::trim() {
  for (Node* const node : nodes()) node->client.trim();
}

Result<int> ClusterClient::next_primary(int first) {
  if (is_stale_.load(std::memory_order_relaxed)) {
    auto learnt = refresh(net::Deadline::in(timeout_), true);
    if (!learnt.ok()) return Result<int>(learnt.take_error());
  }
  const auto all = nodes();
  for (auto i = static_cast<std::size_t>(first); i < all.size(); ++i)
    if (all[i]->has_slots.load(std::memory_order_relaxed)) return static_cast<int>(i);
  return -1;
}

Result<void> ClusterClient::call_node(int node, Commands& commands, Reading read) {
  const auto all = nodes();
  return static_cast<Client&>(all[static_cast<std::size_t>(node)]->client).call({}, commands, Again::yes, read);
}

Result<ClusterClient::Node*> ClusterClient::owner(Where where, const net::Deadline& deadline, const Node* silent) {
  const auto find = [&] {
    Node* const reader = where.is_read ? readers_[where.slot].load(std::memory_order_acquire) : nullptr;
    return reader != nullptr ? reader : primaries_[where.slot].load(std::memory_order_acquire);
  };
  Node* node = find();
  if (node != nullptr && !is_stale_.load(std::memory_order_relaxed)) [[likely]]
    return node;
  auto learnt = refresh(deadline, node == nullptr || node == silent);
  if (Node* const now = find()) return now;
  is_stale_.store(true, std::memory_order_relaxed);
  if (!learnt.ok()) return Result<Node*>(learnt.take_error());
  return Error{Errc::unavailable, "no node of the cluster has slot " + std::to_string(where.slot)};
}

ClusterClient::Turn ClusterClient::judge(const Error& error, const ServerClient::Trouble& trouble, Where where,
                                         Again again, Course& course, const net::Deadline& deadline) {
  if (const auto redirect = redirect_of(error)) {
    if (++course.hops > kMostHops) {
      // They send us to and fro: while a slot changes hands they may not agree for a moment.
      course.begin_again();
      return Turn::later;
    }
    const std::string& host = redirect->host.empty() ? course.node->client.endpoint().host : redirect->host;
    course.node = node_at(host, redirect->port, ServerClient::Role::server);
    course.is_asking = redirect->is_ask;
    if (!redirect->is_ask) {
      primaries_[redirect->slot].store(course.node, std::memory_order_release);
      readers_[redirect->slot].store(nullptr, std::memory_order_release);
      is_stale_.store(true, std::memory_order_relaxed);
    }
    return Turn::now;
  }
  if (was_refused(error)) {
    const bool is_demoted = error.message.find("READONLY") != error.message.npos;
    if (is_demoted || error.message.find("CLUSTERDOWN") != error.message.npos)
      is_stale_.store(true, std::memory_order_relaxed);
    if (!is_demoted && !is_passing(error)) return Turn::fail;
    const bool is_replica = course.node->role == ServerClient::Role::replica;
    course.begin_again();
    if (!is_replica) return Turn::later;
    // It loads, is busy, or hears nothing of its primary, which answers instead until the slots are learnt anew.
    readers_[where.slot].store(nullptr, std::memory_order_release);
    is_stale_.store(true, std::memory_order_relaxed);
    return Turn::now;
  }
  if (error.code == Errc::rejected || error.code == Errc::denied) return Turn::fail;
  // It does not answer.
  Node* const silent = course.node;
  course.node = nullptr;
  course.is_asking = false;
  is_stale_.store(true, std::memory_order_relaxed);
  if (trouble.was_sent && again == Again::no) return Turn::fail;
  if (deadline.is_past() || ++course.hops > kMostHops) return Turn::fail;
  if (trouble.may_retry) {
    course.node = silent;
    return Turn::now;
  }
  if (silent->role == ServerClient::Role::replica) {
    readers_[where.slot].store(nullptr, std::memory_order_release);
    return Turn::now;
  }
  // Only if another node has taken over.
  auto next = owner(where, deadline, silent);
  return next.ok() && *next != silent ? Turn::now : Turn::fail;
}

Result<void> ClusterClient::call(Where where, Commands& commands, Again again, Reading read,
                                 const net::Deadline& deadline) {
  Course course;
  std::unique_ptr<Error> put_off;  // what it was asked to wait for
  std::optional<Trial> trial;
  struct AtTheEnd {
    std::optional<Trial>& trial;
    ~AtTheEnd() {
      if (trial) trial->end();
    }
  } at_the_end{trial};
  for (Pauses pauses;;) {
    if (course.node == nullptr) {
      auto node = owner(where, deadline);
      if (!node.ok()) return Result<void>(cut_off(node.take_error(), put_off.get(), false));
      course.node = *node;
    }
    if (!trial || trial->node != course.node) {
      if (trial) trial->end();
      trial.emplace(*course.node);
    }
    ServerClient::Trouble trouble;
    Result<void> done;
    if (trial->pass) [[likely]] {
      commands.ask_first(course.is_asking);
      done = course.node->client.attempt(
          commands,
          [&](Replies& replies) -> Result<void> {
            if (course.is_asking) {
              auto asked = replies.next();
              if (!asked.ok()) return Result<void>(asked.take_error());
            }
            return read(replies);
          },
          deadline, trouble);
      trial->note(done.ok() ? nullptr : &done.error());
      if (done.ok()) [[likely]]
        return done;
    } else {
      done = trial->refusal();
    }
    const Turn turn = judge(done.error(), trouble, where, again, course, deadline);
    if (turn == Turn::fail)
      return Result<void>(cut_off(done.take_error(), put_off.get(), again == Again::no && trouble.was_sent));
    if (turn == Turn::now) continue;
    put_off = done.take_error();
    if (pauses.wait(deadline)) continue;
    trial->has_failed = true;
    return gave_up(*put_off);
  }
}

void ClusterClient::call_many(const Units& units) {
  const net::Deadline deadline = net::Deadline::in(timeout_);
  struct Pending {
    std::size_t unit;
    Course course;
  };
  struct Group {
    std::size_t begin, end;
    std::unique_ptr<ServerClient::Flight> flight;
  };
  std::vector<Pending> round, again;
  round.reserve(units.slots.size());
  for (std::size_t i = 0; i < units.slots.size(); ++i) round.push_back({i, {}});
  std::vector<Group> groups;
  std::vector<Commands> commands;
  std::vector<Trial> trials;  // of the nodes that were asked so far
  struct AtTheEnd {
    std::vector<Trial>& trials;
    ~AtTheEnd() {
      for (Trial& trial : trials) trial.end();
    }
  } at_the_end{trials};
  const auto trial_of = [&](Node& node) -> Trial& {
    for (Trial& trial : trials)
      if (trial.node == &node) return trial;
    return trials.emplace_back(node);
  };
  Pauses pauses;
  bool is_later = false;
  std::unique_ptr<Error> put_off;  // what some were asked to wait for
  const auto where = [&](const Pending& one) { return Where{units.slots[one.unit], units.is_read}; };
  const auto trouble_with = [&](Pending& one, const Error& error, const ServerClient::Trouble& trouble) {
    Turn turn = Turn::now;
    Node& asked = *one.course.node;
    if (is_missing_script(error) && !one.course.is_whole) {
      one.course.is_whole = true;
    } else {
      turn = judge(error, trouble, where(one), units.again, one.course, deadline);
    }
    if (turn == Turn::fail) {
      const bool is_in_doubt = units.again == Again::no && trouble.was_sent;
      const Error* const waited_for = one.course.was_put_off ? put_off.get() : nullptr;
      return units.failed(one.unit, std::move(*cut_off(std::make_unique<Error>(error), waited_for, is_in_doubt)));
    }
    if (turn == Turn::later) {
      is_later = true;
      one.course.was_put_off = true;
      trial_of(asked).was_put_off = true;
      put_off = std::make_unique<Error>(error);
    }
    again.push_back(one);
  };
  while (!round.empty()) {
    std::erase_if(round, [&](Pending& one) {
      if (one.course.node != nullptr) return false;
      auto node = owner(where(one), deadline);
      if (node.ok()) {
        one.course.node = *node;
        return false;
      }
      const Error* const waited_for = one.course.was_put_off ? put_off.get() : nullptr;
      units.failed(one.unit, std::move(*cut_off(node.take_error(), waited_for, false)));
      return true;
    });
    // By node, and always in the same order: callers that hold connections to some do not wait for each other's.
    std::stable_sort(round.begin(), round.end(), [](const Pending& a, const Pending& b) {
      return std::less<Node*>()(a.course.node, b.course.node);
    });
    groups.clear();
    for (std::size_t i = 0; i < round.size(); ++i)
      if (i == 0 || round[i].course.node != round[i - 1].course.node) {
        groups.push_back({i, i + 1, nullptr});
      } else {
        ++groups.back().end;
      }
    if (commands.size() < groups.size()) commands.resize(groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
      Group& group = groups[g];
      Trial& trial = trial_of(*round[group.begin].course.node);
      if (!trial.pass) {
        const Error refusal = trial.refusal();
        for (std::size_t i = group.begin; i < group.end; ++i) trouble_with(round[i], refusal, {});
        continue;
      }
      commands[g].clear();
      for (std::size_t i = group.begin; i < group.end; ++i) {
        if (round[i].course.is_asking) commands[g].begin(1).word("ASKING");
        units.write(round[i].unit, round[i].course.is_whole, commands[g]);
      }
      ServerClient::Trouble trouble;
      auto flight = round[group.begin].course.node->client.begin(commands[g], deadline, trouble);
      if (flight.ok()) {
        group.flight = std::make_unique<ServerClient::Flight>(std::move(*flight));
        continue;
      }
      trial.note(&flight.error());
      for (std::size_t i = group.begin; i < group.end; ++i) trouble_with(round[i], flight.error(), trouble);
    }
    for (Group& group : groups) {
      if (!group.flight) continue;
      Node& node = *round[group.begin].course.node;
      ServerClient& client = node.client;
      ServerClient::Trouble trouble{.was_sent = true};
      std::size_t at = group.begin;
      for (; at < group.end; ++at) {
        Replies replies(group.flight->connection(), deadline);
        Result<void> done;
        if (round[at].course.is_asking) done = Result<void>(replies.next().take_error());
        if (done.ok()) done = units.read(round[at].unit, replies);
        if (!done.ok()) {
          client.broke(*group.flight, done.error(), trouble);
          trial_of(node).note(&done.error());
          group.flight.reset();
          for (; at < group.end; ++at) trouble_with(round[at], done.error(), trouble);
          break;
        }
        if (replies.refusal()) trouble_with(round[at], *replies.refusal(), {});
      }
      if (!group.flight) continue;
      client.end(*group.flight, nullptr, deadline, trouble);
      trial_of(node).note(nullptr);
      group.flight.reset();
    }
    if (std::exchange(is_later, false) && !pauses.wait(deadline)) {
      for (Trial& trial : trials) trial.has_failed = trial.has_failed || trial.was_put_off;
      for (const Pending& one : again) units.failed(one.unit, gave_up(*put_off));
      return;
    }
    round.swap(again);
    again.clear();
  }
}

Result<void> ClusterClient::refresh(const net::Deadline& deadline, bool is_wanted) {
  std::uint64_t seen = 0;
  {
    std::unique_lock lock(mutex_);
    seen = refreshes_;
    while (is_refreshing_) {
      if (!is_wanted) return {};
      lock.unlock();
      if (deadline.is_past()) return Error{Errc::timeout, "nobody told in time which node has which slot"};
      std::this_thread::sleep_for(kGlance);
      lock.lock();
      if (refreshes_ != seen) return {};
    }
    if (refreshes_ > 0 && net::Deadline::Clock::now() - refreshed_ < kLeastAge) return {};
    is_refreshing_ = true;
  }
  // Whoever answers first: those that are known to have slots, then the others, and at last who was silent.
  std::vector<Node*> all = nodes();
  std::erase_if(all, [](const Node* node) { return node->role == ServerClient::Role::replica; });
  if (!all.empty())
    std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(random_below(all.size())), all.end());
  const auto second = std::stable_partition(
      all.begin(), all.end(), [](const Node* node) { return !node->is_silent.load(std::memory_order_relaxed); });
  std::stable_partition(all.begin(), second, [](const Node* node) { return node->has_slots.load(); });
  is_stale_.store(false, std::memory_order_relaxed);
  std::unique_ptr<Error> why;
  bool is_learnt = false;
  for (std::size_t i = 0; i < all.size() && !is_learnt && !deadline.is_past(); ++i) {
    const net::Deadline share = deadline.within(deadline.left() / static_cast<Duration::rep>(all.size() - i + 1));
    auto told = ask(*all[i], share);
    is_learnt = told.ok();
    if (!is_learnt) why = told.take_error();
  }
  if (!is_learnt) is_stale_.store(true, std::memory_order_relaxed);
  const std::scoped_lock lock(mutex_);
  is_refreshing_ = false;
  ++refreshes_;
  refreshed_ = net::Deadline::Clock::now();
  if (is_learnt) return {};
  if (!why) return Error{Errc::timeout, "no node was asked in time which one has which slot"};
  why->message = "no node tells which one has which slot; the last one asked: " + why->message;
  return Result<void>(std::move(why));
}

Result<void> ClusterClient::ask(Node& node, const net::Deadline& deadline) {
  Commands question;
  question.begin(2).word("CLUSTER").word("SLOTS");
  RedisReply reply;
  ServerClient::Trouble trouble;
  const auto once = [&] {
    return node.client.attempt(
        question,
        [&](Replies& replies) -> Result<void> {
          auto whole = replies.whole();
          if (whole.ok()) reply = std::move(*whole);
          return Result<void>(whole.take_error());
        },
        deadline, trouble);
  };
  auto told = once();
  if (!told.ok() && trouble.may_retry) told = once();
  node.is_silent.store(!told.ok() && !was_refused(told.error()), std::memory_order_relaxed);
  return told.ok() ? learn(reply, node) : std::move(told);
}

// An array of: first slot, last slot, the primary, replicas; each node an array of: host, port, id...
Result<void> ClusterClient::learn(const RedisReply& reply, const Node& from) {
  using Kind = RedisReply::Kind;
  if (reply.kind == Kind::error) return from_server(reply.text);
  const auto is_node = [](const RedisReply& node) {
    return node.kind == Kind::array && node.elements.size() >= 2 && node.elements[1].integer > 0 &&
           node.elements[1].integer <= 65'535;
  };
  const auto find = [&](const RedisReply& node, ServerClient::Role role) {
    const std::string& host = node.elements[0].text;
    return node_at(host.empty() || host == "?" ? from.client.endpoint().host : host,
                   static_cast<std::uint16_t>(node.elements[1].integer), role);
  };
  if (reply.kind != Kind::array || reply.elements.empty())
    return Error{Errc::unavailable, from.client.endpoint().name() + ": its cluster has no slots yet"};
  std::vector<Node*> primaries(kSlots), readers(kSlots);
  for (const RedisReply& range : reply.elements) {
    const auto& words = range.elements;
    if (words.size() < 3 || words[0].integer < 0 || words[1].integer >= static_cast<std::int64_t>(kSlots) ||
        !is_node(words[2]))
      return Error{Errc::unavailable, from.client.endpoint().name() + ": what it says of slots is not understood"};
    Node* const primary = find(words[2], ServerClient::Role::server);
    std::vector<Node*> replicas;
    for (std::size_t i = 3; connection_.replica_reads && i < words.size(); ++i)
      if (is_node(words[i])) replicas.push_back(find(words[i], ServerClient::Role::replica));
    for (auto slot = static_cast<std::size_t>(words[0].integer); slot <= static_cast<std::size_t>(words[1].integer);
         ++slot) {
      primaries[slot] = primary;
      if (!replicas.empty()) readers[slot] = replicas[slot % replicas.size()];
    }
  }
  for (Node* const node : nodes())
    node->has_slots.store(std::find(primaries.begin(), primaries.end(), node) != primaries.end(),
                          std::memory_order_relaxed);
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    primaries_[slot].store(primaries[slot], std::memory_order_release);
    readers_[slot].store(readers[slot], std::memory_order_release);
  }
  return {};
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
