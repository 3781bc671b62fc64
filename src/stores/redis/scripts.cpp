// KEYS: the keys, and last, where they are values, the key of the generation. ARGV[1]: now, in microseconds of the
// caller's wall. ARGV[2]: how many of the KEYS are keys. ARGV[3]: what stands before a tag's name to make its record's
// key; empty: tags are a layer's business.
#include "scripts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace flux::cache {
inline namespace v1 {
namespace detail::redis {

namespace {

// Bytes of a head, as Lua counts them: version 9-16, generation 17-24, fresh_until 25-32, keep_until 33-40, tags 41-42.
constexpr std::string_view kPrelude = R"lua(
local now, count, tags_at = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local zero = string.rep('\0', 8)
local generation_key = KEYS[count + 1]
local generation = zero
if generation_key then
  generation = redis.call('GET', generation_key)
end
local function number(text, at) return (struct.unpack('<i8', text, at)) end
local function each_tag(meta, tags, visit)
  local at = 1
  for i = 1, tags do
    local length = struct.unpack('<I2', meta, at + 8)
    if visit(meta:sub(at, at + 7), meta:sub(at + 10, at + 9 + length), i) == false then return false end
    at = at + 10 + length
  end
  return true
end
local function spared(key, head, tags)
  local meta = redis.call('GETRANGE', key, 48, 47 + struct.unpack('<I4', head, 5))
  local carried = {}
  each_tag(meta, tags, function(stamp, name) carried[name] = true end)
  return each_tag(meta, tags, function(stamp, name)
    local record = redis.call('GET', tags_at .. name)
    if not record then return false end
    if record:sub(1, 8) == stamp then return true end
    if record:sub(3, 8) ~= stamp:sub(3, 8) then return false end
    local made = struct.unpack('<I2', stamp, 1)
    local at = 9
    while at < #record do
      local rule = struct.unpack('<I2', record, at)
      local others = record:byte(at + 2)
      local hit = made < rule
      at = at + 3
      for i = 1, others do
        local length = struct.unpack('<I2', record, at)
        hit = hit and carried[record:sub(at + 2, at + 1 + length)]
        at = at + 2 + length
      end
      if hit then return false end
    end
    return true
  end)
end
local function kept(key)
  local head = redis.pcall('GETRANGE', key, 0, 47)
  if type(head) ~= 'string' or #head < 48 or head:sub(1, 2) ~= '\241\1' then return nil end
  if head:sub(17, 24) ~= generation or number(head, 33) <= now then return nil end
  local tags = struct.unpack('<I2', head, 41)
  if tags > 0 and tags_at ~= '' and not spared(key, head, tags) then return nil end
  return head
end
local function fresh(head) return number(head, 25) > now end
)lua";

// ARGV from 4: milliseconds to live or 0, first 16 bytes of the record, meta, the rest behind the generation up to the
// meta, the value, a new generation, new epochs (8 bytes for each tag), milliseconds to live of tag records or 0. What
// the records say now, where there are any: the epoch and the milliseconds to live or -1, 8 bytes each.
constexpr std::string_view kWrite = R"lua(
local function write(key)
  local facts
  if generation_key and not generation then
    generation = ARGV[9]
    redis.call('SET', generation_key, generation)
  end
  local meta = ARGV[6]
  local tags = struct.unpack('<I2', ARGV[7], 17)
  if tags > 0 and tags_at ~= '' then
    local life = tonumber(ARGV[11])
    local parts = {}
    local seen = {}
    local length = 0
    each_tag(meta, tags, function(stamp, name, i)
      local tag = tags_at .. name
      local record = redis.call('GET', tag)
      local left = life > 0 and life or -1
      if not record then
        record = ARGV[10]:sub(8 * i - 7, 8 * i)
        if life > 0 then redis.call('SET', tag, record, 'PX', ARGV[11]) else redis.call('SET', tag, record) end
      else
        local lives = redis.call('PTTL', tag)
        if lives < 0 then left = -1
        elseif life == 0 then redis.call('PERSIST', tag)
        elseif lives < tonumber(ARGV[4]) or ARGV[4] == '0' then redis.call('PEXPIRE', tag, ARGV[11])
        else left = lives end
      end
      seen[#seen + 1] = record:sub(1, 8) .. struct.pack('<i8', left)
      if stamp == zero then stamp = record:sub(1, 8) end
      parts[#parts + 1] = stamp .. struct.pack('<I2', #name) .. name
      length = length + 10 + #name
    end)
    meta = table.concat(parts) .. meta:sub(length + 1)
    facts = table.concat(seen)
  end
  local record = table.concat({ARGV[5], generation, ARGV[7], meta, ARGV[8]})
  if ARGV[4] == '0' then redis.call('SET', key, record) else redis.call('SET', key, record, 'PX', ARGV[4]) end
  return facts
end
)lua";

// ARGV[12]: when (always, absent, present, unchanged), ARGV[13]: the version, 8 bytes. 1, or what the tags'
// records say: written.
constexpr std::string_view kPut = R"lua(
local when = ARGV[12]
if when ~= 'always' then
  local head = kept(KEYS[1])
  if when == 'absent' then
    if head and fresh(head) then return 0 end
  elseif when == 'present' then
    if not (head and fresh(head)) then return 0 end
  elseif (head and head:sub(9, 16) or zero) ~= ARGV[13] then
    return 0
  end
end
return write(KEYS[1]) or 1
)lua";

// ARGV[4]: the version, or 8 zero bytes. How many fresh ones went.
constexpr std::string_view kForget = R"lua(
local gone = 0
for i = 1, count do
  local head = kept(KEYS[i])
  if ARGV[4] == zero or (head and head:sub(9, 16) == ARGV[4]) then
    redis.call('UNLINK', KEYS[i])
    if head and fresh(head) then gone = gone + 1 end
  end
end
return gone
)lua";

constexpr std::string_view kHas = R"lua(
local head = kept(KEYS[1])
return head and fresh(head) and 1 or 0
)lua";

constexpr std::string_view kPull = R"lua(
local head = kept(KEYS[1])
if not head then return false end
local record = fresh(head) and redis.call('GET', KEYS[1])
redis.call('UNLINK', KEYS[1])
return record
)lua";

// ARGV[4]: milliseconds to live or 0, ARGV[5]: the new version, ARGV[6]: fresh_until and keep_until, ARGV[7]:
// milliseconds to live of tag records or 0. 1: done.
constexpr std::string_view kTouch = R"lua(
local head = kept(KEYS[1])
if not (head and fresh(head)) then return 0 end
redis.call('SETRANGE', KEYS[1], 8, ARGV[5] .. head:sub(17, 24) .. ARGV[6])
if ARGV[4] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
local tags = struct.unpack('<I2', head, 41)
if tags > 0 and tags_at ~= '' then
  local meta = redis.call('GETRANGE', KEYS[1], 48, 47 + struct.unpack('<I4', head, 5))
  each_tag(meta, tags, function(stamp, name)
    local left = redis.call('PTTL', tags_at .. name)
    if left < 0 then return true end
    if ARGV[7] == '0' then redis.call('PERSIST', tags_at .. name)
    elseif left < tonumber(ARGV[4]) then redis.call('PEXPIRE', tags_at .. name, ARGV[7]) end
  end)
end
return 1
)lua";

// As put, with the amount and the new version, 8 bytes each, as ARGV[12] and ARGV[13]. Answers the number's 8 bytes, or
// a word: what to do is not for here. Sums are made of halves, for Lua's numbers are exact to 53 bits only.
constexpr std::string_view kIncrement = R"lua(
local key = KEYS[1]
local head = kept(key)
if not (head and fresh(head)) then
  write(key)
  return ARGV[8]
end
if head:byte(3) ~= 1 then return 'other' end
local meta = struct.unpack('<I4', head, 5)
local old = redis.call('GETRANGE', key, 48 + meta, 55 + meta)
local low, high = struct.unpack('<I4i4', old)
local more_low, more_high = struct.unpack('<I4i4', ARGV[12])
low, high = low + more_low, high + more_high
if low >= 4294967296 then low, high = low - 4294967296, high + 1 end
if high > 2147483647 or high < -2147483648 then return 'full' end
local sum = struct.pack('<I4i4', low, high)
if meta == 0 then
  redis.call('SETRANGE', key, 8, ARGV[13] .. head:sub(17) .. sum)
else
  redis.call('SETRANGE', key, 48 + meta, sum)
  redis.call('SETRANGE', key, 8, ARGV[13])
end
return sum
)lua";

// KEYS: tag records. ARGV[4]: new epochs, ARGV[5]: the least milliseconds that a record is to live. The epochs, in a
// row.
constexpr std::string_view kEpochs = R"lua(
local epochs = {}
for i = 1, count do
  local record = redis.call('GET', KEYS[i])
  if not record then
    record = ARGV[4]:sub(8 * i - 7, 8 * i)
    redis.call('SET', KEYS[i], record, 'PX', ARGV[5])
  else
    local left = redis.call('PTTL', KEYS[i])
    if left >= 0 and left < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
  end
  epochs[i] = record:sub(1, 8)
end
return table.concat(epochs)
)lua";

// Writes ARGV[5] where ARGV[4] stands; its life goes on. 1: done.
constexpr std::string_view kExchange = R"lua(
if redis.call('GET', KEYS[1]) ~= ARGV[4] then return 0 end
redis.call('SET', KEYS[1], ARGV[5], 'KEEPTTL')
return 1
)lua";

// Removes those of the keys that are of no use to anybody any more: ours, and flushed or past their time. How many.
constexpr std::string_view kReclaim = R"lua(
local gone = 0
for i = 1, count do
  local head = redis.pcall('GETRANGE', KEYS[i], 0, 47)
  if type(head) == 'string' and #head == 48 and head:sub(1, 2) == '\241\1' and not kept(KEYS[i]) then
    redis.call('UNLINK', KEYS[i])
    gone = gone + 1
  end
end
return gone
)lua";

// A value that does not begin as a record does is a document, ours or somebody else's. It has neither deadlines nor a
// version of its own: while the server has it, it is fresh, and its content tells one from another.
constexpr std::string_view kDocument = R"lua(
local function document(key)
  local text = redis.pcall('GET', key)
  if type(text) ~= 'string' or (#text >= 48 and text:sub(1, 2) == '\241\1') then return nil end
  return text
end
local function version_of(text)
  local hex, bytes = redis.sha1hex(text), {}
  for i = 15, 1, -2 do bytes[#bytes + 1] = string.char(tonumber(hex:sub(i, i + 1), 16)) end
  return table.concat(bytes)
end
local function look(key, wants_version)
  local head = kept(key)
  if head then return head:sub(9, 16), fresh(head) end
  local text = document(key)
  if not text then return zero, false end
  return wants_version and version_of(text) or zero, true
end
local function set(key, text, life)
  if life == '0' then redis.call('SET', key, text) else redis.call('SET', key, text, 'PX', life) end
end
)lua";

// As put; ARGV[14]: is the value a document?
constexpr std::string_view kPlainPut = R"lua(
local when = ARGV[12]
local version, is_fresh = look(KEYS[1], when == 'unchanged')
if when == 'absent' and is_fresh then return 0 end
if when == 'present' and not is_fresh then return 0 end
if when == 'unchanged' and version ~= ARGV[13] then return 0 end
if ARGV[14] == '1' then set(KEYS[1], ARGV[8], ARGV[4]) else write(KEYS[1]) end
return 1
)lua";

constexpr std::string_view kPlainForget = R"lua(
local gone = 0
for i = 1, count do
  local version, is_fresh = look(KEYS[i], ARGV[4] ~= zero)
  if ARGV[4] == zero or version == ARGV[4] then
    redis.call('UNLINK', KEYS[i])
    if is_fresh then gone = gone + 1 end
  end
end
return gone
)lua";

constexpr std::string_view kPlainHas = R"lua(
local version, is_fresh = look(KEYS[1], false)
return is_fresh and 1 or 0
)lua";

// These go on as those for records where there is no document.
constexpr std::string_view kPlainPull = R"lua(
local text = document(KEYS[1])
if text then
  redis.call('UNLINK', KEYS[1])
  return text
end
)lua";

// ARGV[8]: milliseconds that a document is to live, or 0.
constexpr std::string_view kPlainTouch = R"lua(
if document(KEYS[1]) then
  if ARGV[8] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[8]) end
  return 1
end
)lua";

// ARGV[14]: the amount; ARGV[15]: milliseconds that a new one is to live, 0, or empty where it is to be a record. A sum
// goes by as text: Lua's numbers are exact to 53 bits only.
constexpr std::string_view kPlainIncrement = R"lua(
if document(KEYS[1]) then
  local sum = redis.pcall('INCRBY', KEYS[1], ARGV[14])
  if type(sum) == 'table' then
    if sum.err:find('overflow') then return 'full' end
    return sum.err:find('not an integer') and 'other' or sum
  end
  return '=' .. redis.call('GET', KEYS[1])
end
local there = kept(KEYS[1])
if not (there and fresh(there)) and ARGV[15] ~= '' then
  set(KEYS[1], ARGV[14], ARGV[15])
  return '=' .. ARGV[14]
end
)lua";

std::string sha1(std::string_view text) {
  std::array<std::uint32_t, 5> state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const auto turn = [](std::uint32_t word, int by) { return (word << by) | (word >> (32 - by)); };
  std::string padded(text);
  padded += '\x80';
  while (padded.size() % 64 != 56) padded += '\0';
  for (int shift = 56; shift >= 0; shift -= 8)
    padded += static_cast<char>((static_cast<std::uint64_t>(text.size()) * 8) >> shift);
  for (std::size_t block = 0; block < padded.size(); block += 64) {
    std::array<std::uint32_t, 80> words{};
    for (std::size_t i = 0; i < 64; ++i)
      words[i / 4] = (words[i / 4] << 8) | static_cast<unsigned char>(padded[block + i]);
    for (std::size_t i = 16; i < 80; ++i)
      words[i] = turn(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    auto [a, b, c, d, e] = state;
    for (std::size_t i = 0; i < 80; ++i) {
      std::uint32_t mix = b ^ c ^ d, constant = 0xca62c1d6;
      if (i < 20) {
        mix = (b & c) | (~b & d), constant = 0x5a827999;
      } else if (i < 40) {
        constant = 0x6ed9eba1;
      } else if (i < 60) {
        mix = (b & c) | (b & d) | (c & d), constant = 0x8f1bbcdc;
      }
      const std::uint32_t next = turn(a, 5) + mix + e + constant + words[i];
      e = d, d = c, c = turn(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
  }
  std::string out;
  for (const std::uint32_t word : state)
    for (int shift = 28; shift >= 0; shift -= 4) out += "0123456789abcdef"[(word >> shift) & 15];
  return out;
}

struct Compiled {
  std::string text;
  std::string name;
};

const Compiled& compiled(Script script) {
  static const auto* const all = [] {
    const auto make = [](std::string_view body, std::string_view with = {}) {
      Compiled one;
      one.text.append(kPrelude).append(with).append(body);
      one.name = sha1(one.text);
      return one;
    };
    const auto plain = [&](std::string_view body, std::string_view with, std::string_view then = {}) {
      return make(std::string(with).append(kDocument).append(body).append(then));
    };
    return new std::array{make(kPut, kWrite),
                          make(kForget),
                          make(kHas),
                          make(kPull),
                          make(kTouch),
                          make(kIncrement, kWrite),
                          make(kEpochs),
                          make(kExchange),
                          make(kReclaim),
                          plain(kPlainPut, kWrite),
                          plain(kPlainForget, {}),
                          plain(kPlainHas, {}),
                          plain(kPlainPull, {}, kPull),
                          plain(kPlainTouch, {}, kTouch),
                          plain(kPlainIncrement, kWrite, kIncrement)};
  }();
  return (*all)[static_cast<std::size_t>(script)];
}

}  // namespace

const std::string& script_text(Script script) { return compiled(script).text; }
const std::string& script_name(Script script) { return compiled(script).name; }

std::uint64_t document_version(std::string_view document) {
  std::uint64_t version = 0;
  const std::string hex = sha1(document);
  (void)std::from_chars(hex.data(), hex.data() + 16, version, 16);
  return std::max<std::uint64_t>(version, 1);
}

}  // namespace detail::redis
}  // namespace v1
}  // namespace flux::cache
