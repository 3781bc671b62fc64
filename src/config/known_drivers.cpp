// The fields of the documented drivers: the one list for each struct, in both directions. Their stores may be missing
// from a build; their configurations are understood by all.
#include "config/known_drivers.hpp"

#include <flux/cache/drivers.hpp>

#include <algorithm>

namespace flux::cache {
inline namespace v1 {

namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

constexpr std::uint64_t kKibi = 1024;
constexpr int kMostWeight = 1'000'000;

/// What writes do that a composite's store misses.
template <class Config>
void recovery(Fields& fields, Config& config) {
  fields.flag("recovery", config.recovery);
  fields.integer("max_pending", config.max_pending, 1, 10'000'000);
  fields.duration("recovery_delay", config.recovery_delay, 1ms);
}

/// Where a composite keeps locks and limits: one of its own stores.
template <class Config>
void authority(Fields& fields, Config& config) {
  fields.store("authority", config.authority);
  const auto& stores = config.stores;
  if (!config.authority.empty() && std::find(stores.begin(), stores.end(), config.authority) == stores.end())
    fields.mistake("authority", "is none of the stores");
}

}  // namespace

void describe(Fields& fields, SerializeConfig& config) {
  fields.flag("compress", config.compress);
  fields.compression("algorithm", config.algorithm);
  if (config.algorithm == "default") fields.mistake("algorithm", "this is where the default is named");
  fields.serializer("serializer", config.serializer);
  fields.size("threshold", config.threshold);
  fields.path("dictionary", config.dictionary);
  if (!config.dictionary.empty() && config.algorithm != "zstd") fields.mistake("dictionary", "only zstd has such");
}

void describe(Fields& fields, LimitsConfig& config) {
  fields.size("key", config.key, 1, 16 * kKibi * kKibi);
  fields.integer("tags", config.tags, 1, 10'000);
  fields.size("tag", config.tag, 1, 64 * kKibi);
}

void describe(Fields& fields, BreakerOptions& options) {
  fields.integer("failure_threshold", options.failure_threshold, 0, 1'000'000);
  fields.duration("timeout", options.timeout, 1ms);
  fields.integer("close_after", options.close_after, 1, 1'000'000);
  fields.duration("max_timeout", options.max_timeout, 1ms);
}

void describe(Fields& fields, MemoryConfig& config) {
  fields.driver("memory");
  fields.integer("max_size", config.max_size);
  fields.size("max_bytes", config.max_bytes);
  if (config.max_size == 0 && config.max_bytes == 0)
    fields.mistake("max_size", "a memory store needs a bound: max_size or max_bytes above 0");
  fields.word("policy", config.policy, {"adaptive", "lru", "fifo"});
  fields.common(config);
}

void describe(Fields& fields, FileConfig& config) {
  fields.driver("file");
  fields.path("path", config.path);
  fields.flag("allow_unsafe_directory", config.allow_unsafe_directory);
  fields.common(config);
}

void describe(Fields& fields, SqliteConnection& connection) {
  fields.driver("sqlite");
  fields.path("database", connection.database);
  fields.duration("busy_timeout", connection.busy_timeout, 1us);
  fields.choice("synchronous", connection.synchronous,
                {{"off", Synchronous::off}, {"normal", Synchronous::normal}, {"full", Synchronous::full}});
  fields.integer("connections", connection.connections, 1, 64);
  fields.choice("on_corrupt", connection.on_corrupt,
                {{"set_aside", OnCorrupt::set_aside}, {"refuse", OnCorrupt::refuse}});
  fields.duration("recheck", connection.recheck, 1us);
  fields.size("cache_bytes", connection.cache_bytes, 64 * kKibi, 4 * kKibi * kKibi * kKibi);
  fields.integer("checkpoint_pages", connection.checkpoint_pages, 1, 1'000'000);
}

void describe(Fields& fields, DatabaseConfig& config) {
  fields.driver("database");
  fields.table("table", config.table);
  fields.connection("connection", config.connection, {"sqlite"});
  fields.integer("sweep", config.sweep, 0, 1'000);
  fields.common(config);
}

void describe(Fields& fields, RedisNode& node) {
  fields.host("host", node.host);
  fields.integer("port", node.port, 1, 65'535);
}

void describe(Fields& fields, RedisSentinel& sentinel) {
  fields.text("name", sentinel.name);
  fields.each("nodes", sentinel.nodes);
  fields.text("username", sentinel.username);
  fields.secret("password", sentinel.password);
  if (sentinel.name.empty() != sentinel.nodes.empty())
    fields.mistake("name", "sentinels want a name of the primary, and a name wants sentinels (nodes)");
}

void describe(Fields& fields, RedisConnection& connection) {
  fields.driver("redis");
  fields.host("host", connection.host);
  fields.integer("port", connection.port, 1, 65'535);
  fields.integer("database", connection.database, 0, 65'535);
  fields.text("username", connection.username);
  fields.secret("password", connection.password);
  fields.path("socket", connection.socket);
  fields.url("url", connection.url, {"redis", "rediss", "unix"});
  if (!connection.url.empty() && !connection.socket.empty())
    fields.mistake("url", "a connection has either a url or a socket");
  fields.text("client_name", connection.client_name);
  fields.duration("timeout", connection.timeout, 1ms);
  fields.integer("pool_size", connection.pool_size, 1, 10'000);
  fields.duration("pool_wait", connection.pool_wait, 1ms);
  fields.flag("shared", connection.shared);
  fields.flag("tls", connection.tls);
  fields.path("ca", connection.ca);
  fields.path("certificate", connection.certificate);
  fields.path("key", connection.key);
  fields.text("server_name", connection.server_name);
  fields.flag("verify", connection.verify);
  fields.group("sentinel", connection.sentinel);
  fields.flag("cluster", connection.cluster);
  fields.each("seeds", connection.seeds);
  fields.flag("replica_reads", connection.replica_reads);
  if (!connection.cluster && !connection.seeds.empty()) fields.mistake("seeds", "only a cluster has such");
  if (!connection.cluster && connection.replica_reads) fields.mistake("replica_reads", "only a cluster has such");
  if (connection.cluster && !connection.sentinel.nodes.empty())
    fields.mistake("cluster", "a cluster needs no sentinels");
  if (connection.cluster && !connection.socket.empty())
    fields.mistake("cluster", "its nodes are reached by host and port");
  if (connection.cluster && connection.database != 0) fields.mistake("database", "a cluster has the database 0 alone");
}

void describe(Fields& fields, RedisConfig& config) {
  fields.driver("redis");
  fields.connection("connection", config.connection, {"redis"});
  fields.common(config);
}

void describe(Fields& fields, MemcachedServer& server) {
  fields.host("host", server.host);
  fields.integer("port", server.port, 1, 65'535);
  fields.integer("weight", server.weight, 1, kMostWeight);
}

void describe(Fields& fields, MemcachedOptions& options) {
  fields.compression("compression", options.compression);
  fields.serializer("serializer", options.serializer);
}

void describe(Fields& fields, MemcachedConfig& config) {
  fields.driver("memcached");
  fields.each("servers", config.servers);
  fields.common(config);
  fields.group("options", config.options);
  if (!config.serializer.empty() && !config.options.serializer.empty())
    fields.mistake("options", "the serializer is named twice");
  if (!config.compression.empty() && !config.options.compression.empty())
    fields.mistake("options", "the compression is named twice");
  fields.text("username", config.username);
  fields.secret("password", config.password);
  fields.word("protocol", config.protocol, {"meta", "binary"});
  fields.integer("pool_size", config.pool_size, 1, 10'000);
  fields.integer("failure_limit", config.failure_limit, 1, 1'000);
  fields.duration("retry_after", config.retry_after, 1ms);
  fields.flag("listing", config.listing);
  fields.flag("chunks", config.chunks);
  fields.flag("tls", config.tls);
  fields.path("ca", config.ca);
  fields.path("certificate", config.certificate);
  fields.path("key", config.key);
  fields.text("server_name", config.server_name);
  fields.flag("verify", config.verify);
}

void describe(Fields& fields, DistributedConfig& config) {
  fields.driver("distributed");
  fields.stores("stores", config.stores);
  fields.word("strategy", config.strategy, {"replicate", "sharding", "primary"});
  fields.word("writes", config.writes, {"any", "majority", "all"});
  fields.integers("weights", config.weights, 1, kMostWeight);
  if (!config.weights.empty() && config.weights.size() != config.stores.size())
    fields.mistake("weights", "there are as many weights as stores");
  authority(fields, config);
  recovery(fields, config);
  fields.lifetime("ttl", config.ttl);
  fields.rules(config);
}

void describe(Fields& fields, BackplaneConfig& config) {
  fields.connection("connection", config.connection, {"redis"});
}

void describe(Fields& fields, TieredConfig& config) {
  fields.driver("tiered");
  fields.stores("stores", config.stores);
  fields.lifetimes("ttl", config.ttl);
  if (config.ttl.size() > config.stores.size()) fields.mistake("ttl", "there are more lifetimes than stores");
  authority(fields, config);
  fields.group("backplane", config.backplane);
  recovery(fields, config);
  fields.rules(config);
}

namespace detail {

void know_drivers(DriverTable& table) {
  table.know<MemoryConfig>("memory");
  table.know<FileConfig>("file");
  table.know<DatabaseConfig>("database");
  table.know<RedisConfig>("redis");
  table.know<MemcachedConfig>("memcached");
  table.know<DistributedConfig>("distributed");
  table.know<TieredConfig>("tiered");
  table.know_connection<SqliteConnection>("sqlite");
  table.know_connection<RedisConnection>("redis");
}

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
