// Replies of the meta protocol, scanned out of a receive buffer (memcached's doc/protocol.txt, "Meta Commands").
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flux::cache {
inline namespace v1 {
namespace detail::memcached {

enum class MetaCode : std::uint8_t {
  value,         ///< VA: a value follows
  done,          ///< HD: stored, removed
  miss,          ///< EN
  not_stored,    ///< NS
  exists,        ///< EX: the compare-and-swap number is another one by now
  not_found,     ///< NF
  barrier,       ///< MN: the answer to a no-op
  end,           ///< END of what a line that asked for several keys is answered with
  server_error,  ///< SERVER_ERROR: this command failed, the connection is in order
  client_error,  ///< CLIENT_ERROR or ERROR: the server did not understand us
};

struct MetaReply {
  MetaCode code{};
  bool has_opaque = false;
  std::uint32_t opaque = 0;
  std::uint64_t cas = 0;
  std::string_view key{};    ///< of a value that was asked for together with others
  bool is_likely = false;    ///< that key is the one that was to be expected
  std::string_view value{};  ///< the data; of an error, its text
};

enum class Scan : std::uint8_t {
  whole,   ///< a reply was scanned
  more,    ///< the buffer ends before the reply does
  broken,  ///< not the protocol, or over a limit: nothing on this connection can be trusted any more
};

/// Scans the first reply of `from`. `used` is its length where it is whole; where it is not, the length it is known to
/// need at least. A value above `longest_value` is broken.
Scan scan_reply(std::string_view from, std::size_t longest_value, MetaReply& reply, std::size_t& used) noexcept;

/// The same for the answer to a `get` or `gets` of several keys ("Retrieval command"), where `likely` is the key to
/// be expected. What is no value and no end is scanned as above.
Scan scan_gathered(std::string_view from, std::string_view likely, std::size_t longest_value, MetaReply& reply,
                   std::size_t& used) noexcept;

}  // namespace detail::memcached
}  // namespace v1
}  // namespace flux::cache
