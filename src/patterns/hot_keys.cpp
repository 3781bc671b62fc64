#include <flux/cache/patterns/hot_keys.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

namespace flux::cache {
inline namespace v1 {

/// A heap of the tracked keys with the least on top, and where each key stands in it. A key that is not tracked takes
/// the least one's place, and its count as the error.
struct HotKeys::Tracker {
  struct Row {
    HotKey hot;
    std::size_t at = 0;
  };

  explicit Tracker(const HotKeysOptions& rules) : options(rules) {
    if (options.tracked < 1 || options.tracked > 1'000'000)
      throw std::invalid_argument("flux::cache::HotKeys: tracked must be 1 to 1,000,000");
  }

  void note(std::string_view key) {
    if (key.size() > options.max_key_bytes) return;
    const std::scoped_lock guard(mutex);
    const auto found = rows.find(key);
    if (found != rows.end()) {
      ++found->second->hot.count;
      sink(found->second->at);
      return;
    }
    const std::size_t cost = key.size() + kRowBytes;
    std::uint64_t least = 0;
    while (!heap.empty() && (heap.size() >= options.tracked || bytes + cost > options.max_bytes)) {
      least = heap.front()->hot.count;
      drop_least();
    }
    if (cost > options.max_bytes) return;
    auto row = std::make_unique<Row>(Row{{std::string(key), least + 1, least}, heap.size()});
    bytes += cost;
    rows.emplace(row->hot.key, row.get());
    heap.push_back(std::move(row));
    rise(heap.size() - 1);
  }

  void drop_least() {
    bytes -= heap.front()->hot.key.size() + kRowBytes;
    rows.erase(heap.front()->hot.key);
    swap(0, heap.size() - 1);
    heap.pop_back();
    if (!heap.empty()) sink(0);
  }

  void swap(std::size_t a, std::size_t b) {
    std::swap(heap[a], heap[b]);
    heap[a]->at = a;
    heap[b]->at = b;
  }
  bool less(std::size_t a, std::size_t b) const { return heap[a]->hot.count < heap[b]->hot.count; }
  void sink(std::size_t at) {
    for (;;) {
      std::size_t least = at;
      for (const std::size_t child : {2 * at + 1, 2 * at + 2})
        if (child < heap.size() && less(child, least)) least = child;
      if (least == at) return;
      swap(at, least);
      at = least;
    }
  }
  void rise(std::size_t at) {
    for (; at > 0 && less(at, (at - 1) / 2); at = (at - 1) / 2) swap(at, (at - 1) / 2);
  }

  static constexpr std::size_t kRowBytes = sizeof(Row) + 96;  // with its nodes in heap and table

  const HotKeysOptions options;
  mutable std::mutex mutex;
  std::vector<std::unique_ptr<Row>> heap;
  std::unordered_map<std::string_view, Row*> rows;  // keys point into the rows
  std::size_t bytes = 0;
};

HotKeys::HotKeys(const HotKeysOptions& options) : tracker_(std::make_shared<Tracker>(options)) {}

HotKeys::HotKeys(const Repository& cache, const HotKeysOptions& options) : HotKeys(options) {
  listening_ = cache.listen([tracker = tracker_](const Event& event) {
    if (event.kind == EventKind::hit || event.kind == EventKind::miss) tracker->note(event.key);
  });
}

HotKeys::~HotKeys() = default;
HotKeys::HotKeys(HotKeys&&) noexcept = default;
HotKeys& HotKeys::operator=(HotKeys&&) noexcept = default;

void HotKeys::note(std::string_view key) { tracker_->note(key); }

std::vector<HotKey> HotKeys::top(std::size_t count) const {
  std::vector<HotKey> all;
  {
    const std::scoped_lock guard(tracker_->mutex);
    all.reserve(tracker_->heap.size());
    for (const auto& row : tracker_->heap) all.push_back(row->hot);
  }
  std::sort(all.begin(), all.end(),
            [](const HotKey& a, const HotKey& b) { return a.count != b.count ? a.count > b.count : a.key < b.key; });
  if (all.size() > count) all.resize(count);
  return all;
}

void HotKeys::clear() {
  const std::scoped_lock guard(tracker_->mutex);
  tracker_->rows.clear();
  tracker_->heap.clear();
  tracker_->bytes = 0;
}

}  // namespace v1
}  // namespace flux::cache
