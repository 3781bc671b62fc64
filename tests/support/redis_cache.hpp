// A redis store under a prefix of its own, with the probe's verbs.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/stores/redis.hpp>
#include <flux/cache/testing/store_probe.hpp>

#include <chrono>
#include <string>
#include <vector>

#include "support/server.hpp"

#define FLUX_NEEDS(server) \
  if ((server) == nullptr) GTEST_SKIP() << "no redis: " << Server::why_not()

namespace flux::cache::testing {

class RedisCache : public StoreProbe {
 public:
  explicit RedisCache(const RedisConnection& connection, RedisConfig config = {}) {
    if (config.prefix.empty()) config.prefix = unique_prefix();
    redis_ = make_redis(config, connection);
    watch(redis_);
  }

  RedisStore& redis() const { return *redis_; }
  /// A command of the test's own; its answer as text.
  std::string tell(const std::vector<std::string>& words) const {
    auto reply = redis_->command(words);
    if (!reply.ok()) return reply.error().to_string();
    return reply->kind == RedisReply::Kind::integer ? std::to_string(reply->integer) : reply->text;
  }
  /// What `get` says: the value as it is shown, "miss", or the name of the error.
  std::string ask(const std::string& key) const {
    std::string shown = "miss";
    auto there = redis_->get(Key(key), {}, [&](const Entry& entry) { shown = std::string(entry.value.text); });
    return there.ok() ? shown : std::string(to_string(there.error().code));
  }
  /// What `put` says: "true", "false", or the name of the error.
  std::string say(const std::string& key, const std::string& value) const {
    auto written = redis_->put(Key(key), {.value = {.kind = Kind::text, .text = value}}, {});
    return written.ok() ? (*written ? "true" : "false") : std::string(to_string(written.error().code));
  }

 private:
  std::shared_ptr<RedisStore> redis_;
};

/// How long something took.
template <class Work>
std::chrono::milliseconds time_of(Work&& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
}

}  // namespace flux::cache::testing
