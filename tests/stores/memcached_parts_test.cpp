// The parts of the memcached store that need no server: keys on the wire, records, replies, the continuum.
#include <gtest/gtest.h>
#include <libmemcached/memcached.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "stores/memcached/continuum.hpp"
#include "stores/memcached/meta_reply.hpp"
#include "stores/memcached/record.hpp"
#include "stores/memcached/wire_key.hpp"

namespace flux::cache::detail::memcached {
namespace {

// --- keys

TEST(MemcachedKeys, StandAsTheyAreWhereTheProtocolAllows) {
  const KeyCodec codec("app:");
  EXPECT_EQ(codec.encode(Key("user_7")).text(), "4vapp:user_7");
  EXPECT_EQ(codec.encode(Key("user_7", Space::locks)).text(), "4lapp:user_7");
  EXPECT_EQ(codec.encode(Key("caf\xc3\xa9")).text(), "4vapp:caf\xc3\xa9");
  EXPECT_EQ(KeyCodec("").encode(Key("k")).text(), "0vk");
  EXPECT_EQ(codec.generation(), "4gapp:");
  EXPECT_FALSE(codec.encode(Key("user_7")).is_digest());
}

TEST(MemcachedKeys, AreSafeAndShortWhateverTheKeyIs) {
  const KeyCodec codec("app:");
  for (const std::string& key : {std::string("a b"), std::string("\0", 1), std::string("k\r\nflush_all\r\n"),
                                 std::string("\x7f"), std::string(245, 'k'), std::string(65'536, 'k')}) {
    const WireKey wire = codec.encode(Key(key));
    EXPECT_TRUE(wire.is_digest());
    EXPECT_TRUE(is_safe_key(wire.text()));
    EXPECT_EQ(wire.text().size(), 6u + 32u);
    EXPECT_TRUE(wire.text().starts_with("4Vapp:"));
  }
  const WireKey longest = codec.encode(Key(std::string(244, 'k')));
  EXPECT_EQ(longest.text().size(), kLongestWireKey);
  EXPECT_FALSE(longest.is_digest());
}

TEST(MemcachedKeys, OfDifferentPrefixesSpacesAndTextsNeverMeet) {
  std::set<std::string> seen;
  std::size_t count = 0;
  for (const std::string prefix : {"", "a", "ab", "1", "1v", "app:", "a b"}) {
    const KeyCodec codec(prefix);
    for (const Space space : {Space::values, Space::tags, Space::locks, Space::limits}) {
      for (const std::string key : {"bc", "c", "b", "v", "vb", "1vb", "b c", "bc\r\n", "a:b"}) {
        seen.emplace(codec.encode(Key(key, space)).text());
        ++count;
      }
    }
    seen.emplace(codec.generation());
    ++count;
  }
  EXPECT_EQ(seen.size(), count);
}

TEST(MemcachedKeys, APrefixTooLongOrUnsafeIsDigested) {
  const std::string prefix(200, 'p');
  const KeyCodec codec(prefix), other(prefix + "q");
  EXPECT_TRUE(is_safe_key(codec.encode(Key("k")).text()));
  EXPECT_NE(codec.encode(Key("k")).text(), other.encode(Key("k")).text());
  EXPECT_LE(codec.encode(Key(std::string(300, 'k'))).text().size(), kLongestWireKey);
}

// Stored by every release so far: a change would lose what the servers hold.
TEST(MemcachedKeys, AreTheSameInEveryRelease) {
  const KeyCodec codec("app:");
  EXPECT_EQ(codec.encode(Key("a b")).text(), "4Vapp:9e8ea2d652ad4adc4f9024953a8af06a");
  EXPECT_EQ(KeyCodec(std::string(200, 'p')).generation(), "~g110a894ded75b07d1a8457e660dc2388");
}

// --- records

Record full_record() {
  Record record;
  record.version = 0x0123456789abcdef;
  record.generation = 42;
  record.fresh_until = 1'900'000'000'000'000;
  record.keep_until = 1'900'000'001'000'000;
  record.number = -7;
  record.kind = Kind::text;
  record.key = "a key with spaces";
  record.notes = "notes";
  record.text = "the value";
  return record;
}

TEST(MemcachedRecord, ComesBackWhole) {
  std::string tags;
  const TagStamp stamps[] = {{"users", 7}, {"team 3\r\n", ~std::uint64_t{0}}};
  encode_tags(stamps, tags);
  Record record = full_record();
  record.tags = tags;
  record.tag_count = 2;
  std::string bytes;
  encode_head(record, "wire", bytes);
  bytes += record.text;
  Record back;
  ASSERT_TRUE(decode_record(bytes, "wire", back));
  EXPECT_EQ(back.version, record.version);
  EXPECT_EQ(back.generation, record.generation);
  EXPECT_EQ(back.fresh_until, record.fresh_until);
  EXPECT_EQ(back.keep_until, record.keep_until);
  EXPECT_EQ(back.number, record.number);
  EXPECT_EQ(back.kind, record.kind);
  EXPECT_EQ(back.key, record.key);
  EXPECT_EQ(back.notes, record.notes);
  EXPECT_EQ(back.text, record.text);
  std::vector<TagStamp> read;
  ASSERT_TRUE(decode_tags(back.tags, back.tag_count, read));
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[1].name, stamps[1].name);
  EXPECT_EQ(read[1].epoch, stamps[1].epoch);
}

TEST(MemcachedRecord, IsShortWhereLittleIsThere) {
  Record record;
  record.version = 1;
  record.kind = Kind::text;
  std::string bytes;
  encode_head(record, "wire", bytes);
  EXPECT_EQ(bytes.size(), 20u);
  Record back;
  ASSERT_TRUE(decode_record(bytes, "wire", back));
  EXPECT_EQ(back.fresh_until, kForever);
  EXPECT_EQ(back.keep_until, kForever);
}

TEST(MemcachedRecord, NeverChecksOutUnderAnotherKey) {
  std::string bytes;
  encode_head(full_record(), "wire", bytes);
  bytes += full_record().text;
  Record back;
  EXPECT_FALSE(decode_record(bytes, "wirf", back));
  EXPECT_FALSE(decode_record(bytes, "", back));
}

TEST(MemcachedRecord, AFlippedBitOrAMissingByteIsNoticed) {
  std::string bytes;
  encode_head(full_record(), "wire", bytes);
  bytes += full_record().text;
  Record back;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(decode_record(damaged, "wire", back)) << "bit " << bit;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    ASSERT_FALSE(decode_record(std::string_view(bytes).substr(0, size), "wire", back)) << size << " bytes";
  EXPECT_FALSE(decode_record(bytes + "x", "wire", back));
}

TEST(MemcachedRecord, ForeignBytesAreNoRecord) {
  Record back;
  for (const std::string bytes : {"", "7", "{\"json\": true}", "a:1:{s:1:\"a\";i:1;}", "\xac\xed\x00\x05sr"})
    EXPECT_FALSE(decode_record(bytes, "wire", back));
  std::vector<TagStamp> tags;
  EXPECT_FALSE(decode_tags(std::string("\1\0\0\0\0\0\0\0\xff\xff\xff\xff", 12), 1, tags));
  tags.clear();
  EXPECT_FALSE(decode_tags("", 65'535, tags));
}

// --- replies

struct Scanned {
  Scan scan;
  MetaReply reply;
  std::size_t used;
};
Scanned scan(std::string_view bytes, std::size_t longest = 1000) {
  Scanned result{};
  result.scan = scan_reply(bytes, longest, result.reply, result.used);
  return result;
}

TEST(MemcachedReply, IsScannedWithItsFlags) {
  const auto value = scan("VA 3 c17 O5\r\nabc\r\nEN\r\n");
  ASSERT_EQ(value.scan, Scan::whole);
  EXPECT_EQ(value.reply.code, MetaCode::value);
  EXPECT_EQ(value.reply.value, "abc");
  EXPECT_EQ(value.reply.cas, 17u);
  EXPECT_TRUE(value.reply.has_opaque);
  EXPECT_EQ(value.reply.opaque, 5u);
  EXPECT_EQ(value.used, 18u);
  EXPECT_EQ(scan("VA 0\r\n\r\n").reply.value, "");
  EXPECT_EQ(scan("HD c1 O2\r\n").reply.code, MetaCode::done);
  EXPECT_EQ(scan("EN\r\n").reply.code, MetaCode::miss);
  EXPECT_FALSE(scan("EN\r\n").reply.has_opaque);
  EXPECT_EQ(scan("NS O1\r\n").reply.code, MetaCode::not_stored);
  EXPECT_EQ(scan("EX O1\r\n").reply.code, MetaCode::exists);
  EXPECT_EQ(scan("NF O1\r\n").reply.code, MetaCode::not_found);
  EXPECT_EQ(scan("MN\r\n").reply.code, MetaCode::barrier);
  EXPECT_EQ(scan("HD W Z X t-1 new9 O3\r\n").reply.opaque, 3u) << "flags of a later server are passed over";
  const auto fault = scan("SERVER_ERROR object too large for cache\r\n");
  EXPECT_EQ(fault.reply.code, MetaCode::server_error);
  EXPECT_EQ(fault.reply.value, "object too large for cache");
  EXPECT_EQ(scan("ERROR\r\n").reply.code, MetaCode::client_error);
  EXPECT_EQ(scan("CLIENT_ERROR unauthenticated\r\n").reply.code, MetaCode::client_error);
}

TEST(MemcachedReply, WantsMoreAtEveryPlaceItIsCutOff) {
  const std::string whole = "VA 12 c17 O5\r\nab\r\nEN\r\ncd\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = scan(std::string_view(whole).substr(0, size));
    ASSERT_EQ(cut.scan, Scan::more) << size;
    ASSERT_GT(cut.used, size);
    ASSERT_LE(cut.used, whole.size());
  }
  EXPECT_EQ(scan(whole).scan, Scan::whole);
}

TEST(MemcachedReply, NonsenseIsBrokenAndTakesNoMemory) {
  for (const std::string bytes :
       {"HTTP/1.1 400 Bad Request\r\n", "VA\r\n", "VA x\r\n", "VA -1\r\n", "VA 1001\r\n", "VA 99999999999\r\n",
        "VA 99999999999999999999999\r\n", "VA 3\r\nabcd\r\n", "HD cx\r\n", "HD O-1\r\n", "HD O99999999999\r\n", "\n",
        "\r\n", "END\r\n", "VALUE k 0 1\r\n", "HD\n", "va 3\r\n", "$-1\r\n", "*500000000\r\n"})
    EXPECT_EQ(scan(bytes).scan, Scan::broken) << bytes;
  EXPECT_EQ(scan(std::string(5000, 'x')).scan, Scan::broken);
  EXPECT_EQ(scan(std::string(100, 'x')).scan, Scan::more);
}

// --- replies to several keys at once

Scanned scan_several(std::string_view bytes, std::string_view likely = "k", std::size_t longest = 1000) {
  Scanned result{};
  result.scan = scan_gathered(bytes, likely, longest, result.reply, result.used);
  return result;
}

TEST(MemcachedGathered, IsScannedUnderTheKeyItIsNamedBy) {
  const auto value = scan_several("VALUE k 0 3\r\nabc\r\nEND\r\n");
  ASSERT_EQ(value.scan, Scan::whole);
  EXPECT_EQ(value.reply.code, MetaCode::value);
  EXPECT_EQ(value.reply.key, "k");
  EXPECT_EQ(value.reply.value, "abc");
  EXPECT_EQ(value.reply.cas, 0u);
  EXPECT_EQ(value.used, 18u);
  EXPECT_EQ(scan_several("VALUE key 0 0\r\n\r\n").reply.key, "key") << "one that begins like what is expected";
  EXPECT_EQ(scan_several("VALUE k 0 0\r\n\r\n", "key").reply.key, "k");
  EXPECT_EQ(scan_several("VALUE k 0 0\r\n\r\n", "").reply.key, "k");
  const auto numbered = scan_several("VALUE k 4294967295 0 18446744073709551615\r\n\r\n");
  EXPECT_EQ(numbered.reply.cas, 18446744073709551615U);
  EXPECT_EQ(numbered.reply.value, "");
  EXPECT_EQ(scan_several("END\r\n").reply.code, MetaCode::end);
  EXPECT_EQ(scan_several("SERVER_ERROR out of memory writing get response\r\n").reply.code, MetaCode::server_error);
  EXPECT_EQ(scan_several("VA 0 O1\r\n\r\n").reply.opaque, 1u);
}

TEST(MemcachedGathered, WantsMoreAtEveryPlaceItIsCutOff) {
  for (const std::string whole : {"VALUE key 0 12 345\r\nab\r\nEND\r\ncde\r\n", "VALUE key 0 2\r\nab\r\n", "END\r\n"})
    for (const std::string likely : {"key", "k", "other", ""}) {
      for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto cut = scan_several(std::string_view(whole).substr(0, size), likely);
        ASSERT_EQ(cut.scan, Scan::more) << size << " of " << whole;
        ASSERT_GT(cut.used, size);
        ASSERT_LE(cut.used, whole.size());
      }
      EXPECT_EQ(scan_several(whole, likely).scan, Scan::whole);
    }
}

TEST(MemcachedGathered, NonsenseIsBrokenAndTakesNoMemory) {
  for (const std::string bytes :
       {"VALUE k\r\n", "VALUE k 0\r\n", "VALUE k 0 \r\n", "VALUE k x 1\r\n", "VALUE k 0 -1\r\n", "VALUE k 0 1001\r\n",
        "VALUE k 0 99999999999\r\n", "VALUE k 0 3 \r\nabc\r\n", "VALUE k 0 3 x\r\nabc\r\n", "VALUE k 0 3\r\nabcd\r\n",
        "VALUE k 0 0 18446744073709551616\r\n\r\n", "VALUE \r\n", "VALUE\r\n", "END \r\n", "HTTP/1.1 400\r\n"})
    EXPECT_EQ(scan_several(bytes).scan, Scan::broken) << bytes;
  EXPECT_EQ(scan_several("VALUE " + std::string(5000, 'x')).scan, Scan::broken);
  EXPECT_EQ(scan_several("VALUE k " + std::string(5000, '1')).scan, Scan::broken);
}

// --- the continuum, against libmemcached's own

class Library {
 public:
  explicit Library(const std::vector<Continuum::Server>& servers) : handle_(memcached_create(nullptr)) {
    memcached_behavior_set(handle_, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
    for (const auto& server : servers)
      memcached_server_add_with_weight(handle_, server.host.c_str(), static_cast<in_port_t>(server.port),
                                       server.weight);
  }
  ~Library() { memcached_free(handle_); }
  std::size_t server_of(const std::string& key) const {
    return memcached_generate_hash(handle_, key.data(), key.size());
  }

 private:
  memcached_st* handle_;
};

std::vector<std::vector<Continuum::Server>> server_lists() {
  std::vector<std::vector<Continuum::Server>> all{
      {{"10.0.0.1", 11211, 1}, {"10.0.0.2", 11211, 1}},
      {{"10.0.0.1", 11211, 1}, {"10.0.0.2", 11212, 1}, {"cache.example.com", 11211, 1}},
      {{"10.0.0.1", 11211, 3}, {"10.0.0.2", 11211, 1}, {"10.0.0.3", 11211, 2}},
      {{"a", 1, 1}, {"b", 2, 1'000}, {"c", 3, 100}},
  };
  std::vector<Continuum::Server> many;
  for (int i = 0; i < 37; ++i)
    many.push_back({"host" + std::to_string(i), 11211 + i % 3, static_cast<std::uint32_t>(1 + i % 5)});
  all.push_back(many);
  return all;
}

TEST(MemcachedContinuum, PlacesEveryKeyWhereLibmemcachedDoes) {
  for (const auto& servers : server_lists()) {
    const Continuum ours(servers);
    const Library theirs(servers);
    for (int i = 0; i < 10'000; ++i) {
      const std::string key = "4vapp:key_" + std::to_string(i);
      ASSERT_EQ(ours.server_of(key), theirs.server_of(key)) << key << " on " << servers.size() << " servers";
    }
  }
}

TEST(MemcachedContinuum, SharesFollowTheWeightsAndAServerThatJoinsMovesNothingElse) {
  std::vector<Continuum::Server> servers{{"10.0.0.1", 11211, 1}, {"10.0.0.2", 11211, 2}, {"10.0.0.3", 11211, 1}};
  const Continuum before(servers);
  std::vector<int> counts(3);
  for (int i = 0; i < 40'000; ++i) ++counts[before.server_of("key" + std::to_string(i))];
  EXPECT_NEAR(counts[1], 20'000, 4'000);
  EXPECT_NEAR(counts[0], 10'000, 3'000);
  for (auto& server : servers) server.weight = 1;
  const Continuum three(servers);
  servers.push_back({"10.0.0.4", 11211, 1});
  const Continuum four(servers);
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "key" + std::to_string(i);
    const std::size_t now = four.server_of(key);
    ASSERT_TRUE(now == 3 || now == three.server_of(key)) << key;
  }
}

TEST(MemcachedContinuum, OneServerHasAllKeys) {
  EXPECT_EQ(Continuum({{"10.0.0.1", 11211, 1}}).server_of("k"), 0u);
  EXPECT_EQ(Continuum({}).server_of("k"), 0u);
}

}  // namespace
}  // namespace flux::cache::detail::memcached
