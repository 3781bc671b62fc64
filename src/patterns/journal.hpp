// The journal of a write-behind queue: what was acknowledged and is not yet written, in a file.
//
//   header: "FXJ1" | version (4)
//   record: body length (4) | checksum (8) | kind (1) | sequence (8) | key length (4) | key | value
//
// Little endian; the checksum is `stable_hash64(body, seed = length)`. Kinds: 1 a write; 2 all up to the sequence is
// done; 3 the write of that sequence was dropped. A write is in the page cache before it is acknowledged, so it
// survives the process; it is on the disk one sync later. Reading ends at the first record that does not check out:
// such a tail was never acknowledged, or the disk lost it.
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace flux::cache {
inline namespace v1 {
namespace detail {

class Journal {
 public:
  struct Record {
    std::uint64_t sequence = 0;
    std::string key;
    std::string value;
  };

  /// Opens or creates the file, and answers what is pending, in order. Throws ConfigError: another process has it, or
  /// it cannot be read.
  Journal(std::string path, std::vector<Record>& pending);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// False: the disk did not take it, and nothing was added.
  bool add(std::uint64_t sequence, std::string_view key, std::string_view value);
  void done(std::uint64_t up_to);
  void dropped(std::uint64_t sequence);
  /// Nothing is pending: the file may begin anew.
  void all_done();
  /// A descriptor to sync what was added since the last time; -1: nothing was. The caller closes it.
  int dirty_copy();

  std::uint64_t last_sequence() const noexcept { return last_sequence_; }

 private:
  bool append(std::uint8_t kind, std::uint64_t sequence, std::string_view key, std::string_view value);
  std::vector<Record> read();
  void rewrite(const std::vector<Record>& pending);

  const std::string path_;
  int file_ = -1;
  int lock_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t last_sequence_ = 0;
  bool dirty_ = false;
  std::string buffer_;
};

}  // namespace detail
}  // namespace v1
}  // namespace flux::cache
