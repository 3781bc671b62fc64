#include <flux/cache/layers/serialized.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <utility>

#include "core/decode.hpp"
#include "core/text_frame.hpp"

namespace flux::cache {
inline namespace v1 {

namespace {

/// What a batch is encoded in. Its memory serves the next one: the C library gives as much back to the system after
/// each, and to be given it again costs a batch of short values a tenth of its time.
struct Batch {
  static constexpr std::size_t kMostItems = 4096;
  static constexpr std::size_t kMostBytes = std::size_t{512} * 1024;

  char* room(std::size_t bytes) {
    if (size < bytes) frames.reset(new char[bytes]), size = bytes;
    return frames.get();
  }
  bool is_worth_keeping() const noexcept { return items.capacity() <= kMostItems && size <= kMostBytes; }

  std::vector<Item> items;
  std::unique_ptr<char[]> frames;
  std::size_t size = 0;
};

/// What was left there, or a new one; left there again.
class BorrowedBatch {
 public:
  explicit BorrowedBatch(std::atomic<Batch*>& from) : from_(from), batch_(from.exchange(nullptr)) {
    if (!batch_) batch_ = std::make_unique<Batch>();
  }
  BorrowedBatch(const BorrowedBatch&) = delete;
  ~BorrowedBatch() {
    if (batch_->is_worth_keeping()) batch_.reset(from_.exchange(batch_.release()));
  }
  Batch* operator->() const noexcept { return batch_.get(); }

 private:
  std::atomic<Batch*>& from_;
  std::unique_ptr<Batch> batch_;
};

class SerializedStore final : public Decorator {
 public:
  ~SerializedStore() override { delete spare_.load(); }
  SerializedStore(StorePtr inner, const FrameOptions& options)
      : Decorator(std::move(inner)), options_(options), plain_(plain_format(options)) {}

  Traits traits() const noexcept override {
    Traits traits = inner().traits();
    traits.objects = true;
    return traits;
  }

  Result<bool> get(const Key& key, const Read& how, Receiver found) override {
    return reading(key, how, found, [&](Receiver decode) { return inner().get(key, how, decode); });
  }

  Result<bool> pull(const Key& key, const Read& how, Receiver found) override {
    return reading(key, how, found, [&](Receiver decode) { return inner().pull(key, how, decode); });
  }

  Result<void> get_many(std::span<const Key> keys, const Read& how, BatchReceiver found) override {
    std::vector<std::pair<std::size_t, std::uint64_t>> broken;
    const auto decode = [&](std::size_t i, const Entry& entry) {
      auto fault = open(entry, how, [&](const Entry& live) { found(i, live); }).take_error();
      if (fault == nullptr) return;
      fault->key = keys[i].text();
      if (fault->code == Errc::corrupt) broken.emplace_back(i, entry.version);
      found.unreadable(i, std::move(fault));
    };
    const auto hand_on = [&](std::size_t i, std::unique_ptr<Error> why) { found.unreadable(i, std::move(why)); };
    auto done = inner().get_many(keys, how, {decode, hand_on});
    for (const auto& [i, version] : broken) (void)inner().forget(keys[i], {version});
    return done;
  }

  Result<bool> put(const Key& key, const Entry& entry, const Write& how) override {
    std::string bytes;
    auto encoded = encode(entry, bytes);
    if (!encoded.ok()) return Result<bool>(encoded.take_error());
    return inner().put(key, *encoded, how);
  }

  Result<BatchWritten> put_many(std::span<const Item> items) override {
    // All is encoded before anything is written, so that a value that cannot be written leaves the store as it was.
    // Short texts stand side by side in one piece of memory, which is cheaper than a string for each.
    std::size_t room = 0;
    for (const Item& item : items) room += short_frame(item.entry);
    const BorrowedBatch batch(spare_);
    char* next = batch->room(room);
    std::deque<std::string> others;
    std::vector<Item>& encoded = batch->items;
    encoded.assign(items.begin(), items.end());
    for (Item& item : encoded) {
      Entry& entry = item.entry;
      if (const std::size_t size = short_frame(entry); size != 0) {
        detail::write_text_frame(entry.value.text, next);
        entry.value = {.kind = Kind::bytes, .text = {next, size}};
        next += size;
        continue;
      }
      auto made = encode(entry, others.emplace_back());
      if (!made.ok()) {
        made.error().key = item.key.text();
        return Result<BatchWritten>(made.take_error());
      }
      entry = *made;
    }
    return inner().put_many(encoded);
  }

  /// The store counts its integers itself; text that is a number is framed, and counted here by compare-and-swap.
  Result<std::int64_t> increment(const Key& key, std::int64_t by, const Entry& if_new) override {
    auto number = inner().increment(key, by, if_new);
    if (number.ok() || number.error().code != Errc::not_a_number) return number;
    return Decorator::increment(key, by, if_new);
  }

  /// What does not check out is passed over: a walk is no read.
  Result<void> scan(Space space, Visitor visit) override {
    return inner().scan(space, [&](std::string_view key, const Entry& entry) {
      bool go_on = true;
      (void)open(entry, {}, [&](const Entry& live) { go_on = visit(key, live); });
      return go_on;
    });
  }

  Result<bool> has(const Key& key) override { return inner().has(key); }
  Result<bool> touch(const Key& key, const Expiry& expiry) override { return inner().touch(key, expiry); }
  Result<std::size_t> forget_many(std::span<const Key> keys) override { return inner().forget_many(keys); }

 private:
  static const Format* plain_format(const FrameOptions& options) {
    if (options.frame) return nullptr;
    return options.format != nullptr ? options.format : &native_format();
  }

  /// Decodes what is found. Errors of the bytes come back as the answer.
  Result<void> open(const Entry& entry, const Read& how, Receiver found) const {
    Entry live = entry;
    if (live.value.kind == Kind::bytes && plain_ == nullptr && how.as != nullptr && how.as->lane == Lane::text)
      return with_text_frame(entry.value.text, options_.limits, nullptr, [&](std::string_view text) {
        live.value = {.kind = Kind::text, .text = text};
        found(live);
      });
    if (live.value.kind == Kind::bytes) live.value.format = plain_;
    if (how.as == nullptr && live.value.kind == Kind::bytes && plain_ == nullptr) return text_or_bytes(live, found);
    if (how.as == nullptr) return found(live), Result<void>();
    return detail::decode_view(live.value, *how.as, options_.limits, [&](const ValueView& value) {
      live.value = value;
      found(live);
    });
  }

  /// Without a wanted type, text still comes up as text, so that counters can count it.
  Result<void> text_or_bytes(Entry& live, Receiver found) const {
    const auto info = inspect_frame(live.value.text);
    std::string held;
    if (info.ok() && info->lane == Lane::text) {
      auto text = decode_text_frame(live.value.text, options_.limits);
      if (!text.ok()) return Result<void>(text.take_error());
      held = *std::move(text);
      live.value = {.kind = Kind::text, .text = held};
    }
    found(live);
    return {};
  }

  template <class Ask>
  Result<bool> reading(const Key& key, const Read& how, Receiver found, Ask ask) {
    std::unique_ptr<Error> fault;
    std::uint64_t version = 0;
    auto there = ask([&](const Entry& entry) {
      version = entry.version;
      fault = open(entry, how, found).take_error();
    });
    if (!there.ok() || fault == nullptr) return there;
    fault->key = key.text();
    if (fault->code == Errc::corrupt) (void)inner().forget(key, {version});
    return Result<bool>(std::move(fault));
  }

  /// How long the frame of a short text is; 0: it is none, or has to be encoded with care.
  std::size_t short_frame(const Entry& entry) const noexcept {
    constexpr std::size_t kShort = 4096;
    if (entry.value.kind != Kind::text || entry.value.text.size() > kShort) return 0;
    const std::size_t size = detail::text_frame_size(options_, entry.value.text);
    return options_.max_bytes != 0 && size > options_.max_bytes ? 0 : size;
  }

  Result<Entry> encode(const Entry& entry, std::string& bytes) const {
    Entry out = entry;
    Result<std::string> encoded = std::string();
    if (entry.value.kind == Kind::text)
      encoded = encode_text_frame(options_, entry.value.text);
    else if (entry.value.kind == Kind::object)
      encoded = encode_frame(options_, *entry.value.type, entry.value.object->get());
    else
      return out;
    if (!encoded.ok()) return Result<Entry>(encoded.take_error());
    bytes = *std::move(encoded);
    if (options_.max_bytes != 0 && bytes.size() > options_.max_bytes)
      return Result<Entry>(Error{Errc::too_large, "the value takes " + std::to_string(bytes.size()) +
                                                      " bytes, max_value is " + std::to_string(options_.max_bytes)});
    out.value = {.kind = Kind::bytes, .text = bytes};
    return out;
  }

  const FrameOptions options_;
  const Format* const plain_;
  std::atomic<Batch*> spare_{nullptr};
};

}  // namespace

StorePtr make_serialized(StorePtr inner, const FrameOptions& options) {
  return std::make_shared<SerializedStore>(std::move(inner), options);
}

}  // namespace v1
}  // namespace flux::cache
