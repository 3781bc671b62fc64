// Walking over what the server holds of ours, and reclaiming what is of no use any more, in small steps.
#include <flux/cache/executor.hpp>

#include <algorithm>
#include <unordered_set>

#include "redis_store.hpp"

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

constexpr std::size_t kPage = 256;
/// Keys that the server looks at in one step. It answers nobody else meanwhile, so few.
constexpr std::size_t kLooks = 512;

}  // namespace

std::string ServerStore::begins_with(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\' || c == '^') pattern += '\\';
    pattern += c;
  }
  return pattern + "*";
}

std::string_view ServerStore::text_of(std::string_view stored, std::string_view before) const noexcept {
  return stored.starts_with(before) ? layout_.text_behind(stored.substr(before.size())) : std::string_view();
}

void ServerStore::scan_command(Commands& commands, std::string_view cursor, const std::string& pattern,
                               std::size_t count) {
  commands.begin(6).word("SCAN").word(cursor).word("MATCH").word(pattern).word("COUNT");
  commands.number(static_cast<std::int64_t>(count));
}

Result<void> ServerStore::scanned(Replies& replies, std::string& cursor, std::vector<std::string>& keys) {
  keys.clear();
  auto pair = replies.array(2);
  if (!pair.ok() || !*pair) return Result<void>(pair.take_error());
  auto place = replies.next();
  if (!place.ok()) return Result<void>(place.take_error());
  std::string next(place->text);
  auto list = replies.next();
  if (!list.ok()) return Result<void>(list.take_error());
  if (list->kind != Element::Kind::array) return Result<void>(replies.unexpected());
  for (std::int64_t left = list->number; left > 0; --left) {
    auto key = replies.next();
    if (!key.ok()) return Result<void>(key.take_error());
    keys.emplace_back(key->text);
  }
  cursor = std::move(next);
  return {};
}

Result<std::vector<std::string>> ServerStore::scan_page(std::string& cursor, const std::string& pattern,
                                                        std::size_t count) {
  std::vector<std::string> keys;
  ThreadCommands commands;
  scan_command(*commands, cursor, pattern, count);
  auto done =
      client_->call({}, *commands, Again::yes, [&](Replies& replies) { return scanned(replies, cursor, keys); });
  if (!done.ok()) return Result<std::vector<std::string>>(done.take_error());
  return keys;
}

Result<void> ServerStore::scan(Space space, Visitor visit) {
  if (wrong_) return placed(*wrong_, "scan");
  const std::string& before = root(space);
  const std::string pattern = begins_with(before);
  std::unordered_set<std::string> seen;  // the server may tell a key twice
  std::string cursor = "0";
  do {
    auto page = scan_page(cursor, pattern, kLooks);
    if (!page.ok()) return placed(std::move(page.error()), "scan");
    std::erase_if(*page,
                  [&](const std::string& key) { return text_of(key, before).empty() || !seen.insert(key).second; });
    for (std::size_t at = 0; at < page->size(); at += kPage) {
      std::vector<Key> keys;
      for (std::size_t i = at; i < std::min(page->size(), at + kPage); ++i)
        keys.emplace_back(text_of((*page)[i], before), space);
      bool go_on = true;
      auto read = get_many(keys, {.stale = true}, [&](std::size_t i, const Entry& entry) {
        if (go_on) go_on = visit(keys[i].text(), entry);
      });
      // What is not ours, or does not check out, is passed over: a walk is no read.
      if (!read.ok() && read.error().code != Errc::corrupt) return placed(std::move(read.error()), "scan");
      if (!go_on) return {};
    }
  } while (cursor != "0");
  return {};
}

Result<std::size_t> ServerStore::reclaim(Space space, std::span<const Key> keys, const Now& now) {
  std::int64_t gone = 0;
  auto done = client_->eval(
      {}, Script::reclaim, script_words(space, keys.size()), Again::yes,
      [&](Commands& commands) { script_opening(commands, keys, now); },
      [&](Replies& replies) -> Result<void> {
        auto number = replies.integer();
        if (number.ok()) gone = *number;
        return Result<void>(number.take_error());
      });
  if (!done.ok()) return Result<std::size_t>(done.take_error());
  return static_cast<std::size_t>(gone);
}

Result<std::size_t> ServerStore::reclaim_page(Space space, const std::vector<std::string>& page, const Now& now) {
  const std::string& before = root(space);
  std::vector<Key> ours;
  for (const std::string& key : page)
    if (const std::string_view text = text_of(key, before); !text.empty()) ours.emplace_back(text, space);
  return ours.empty() ? Result<std::size_t>(std::size_t{0}) : reclaim(space, ours, now);
}

// Walks on from where the last one stopped, once around all spaces at the most.
Result<std::size_t> ServerStore::prune(std::size_t budget) {
  if (wrong_) return placed(*wrong_, "prune");
  client_->trim();
  const std::unique_lock lock(prune_mutex_, std::try_to_lock);
  if (!lock) return std::size_t{0};  // somebody is at it
  std::size_t gone = 0;
  for (std::size_t rounds = 0; rounds <= roots_.size() && gone < budget;) {
    const auto space = static_cast<Space>(prune_space_);
    auto page = scan_page(prune_cursor_, begins_with(root(space)), std::min(kLooks, std::max<std::size_t>(budget, 16)));
    if (!page.ok()) return placed(std::move(page.error()), "prune");
    auto went = reclaim_page(space, *page, Now(clock_));
    if (!went.ok()) return placed(std::move(went.error()), "prune");
    gone += *went;
    if (prune_cursor_ != "0") continue;
    prune_space_ = (prune_space_ + 1) % roots_.size();
    ++rounds;
  }
  return gone;
}

// What a flush left is removed by the executor, a page at a time, so that the server's other callers hardly notice. The
// clock may be gone by then, if the store is on its way out: the time of the flush serves.
void ServerStore::reclaim_behind() {
  if (reclaiming_.exchange(true, std::memory_order_acq_rel)) return;
  reclaim_later("0", Now(clock_));
}

void ServerStore::reclaim_later(std::string cursor, const Now& now) {
  const auto step = [weak = weak_from_this(), cursor = std::move(cursor), now] {
    const auto store = weak.lock();
    if (!store) return;
    std::string next = cursor;
    auto page = store->scan_page(next, begins_with(store->root(Space::values)), kLooks);
    if (page.ok() && store->reclaim_page(Space::values, *page, now).ok() && next != "0")
      store->reclaim_later(std::move(next), now);
    else
      store->reclaiming_.store(false, std::memory_order_release);
  };
  if (!executor()->submit(step)) reclaiming_.store(false, std::memory_order_release);
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
