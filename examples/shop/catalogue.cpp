#include "catalogue.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace shop {

namespace {

constexpr const char* kIndex = "LC_ALL=C apt-cache dumpavail 2>/dev/null";
constexpr const char* kInstalled = "/var/lib/dpkg/status";

/// Lines of a stream, without their ends. They may be long.
class Lines {
 public:
  explicit Lines(std::FILE* stream) : stream_(stream) {}
  Lines(const Lines&) = delete;
  ~Lines() { std::free(line_); }

  bool next(std::string_view& line) {
    const ssize_t length = getline(&line_, &room_, stream_);
    if (length < 0) return false;
    line = {line_, static_cast<std::size_t>(length)};
    if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
    return true;
  }

 private:
  std::FILE* stream_;
  char* line_ = nullptr;
  std::size_t room_ = 0;
};

/// Cuts a prefix off; false where it is not there.
bool cut(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// `"Jane Doe" <jane@example.org>` becomes Jane Doe.
std::string name_of(std::string_view maintainer) {
  maintainer = maintainer.substr(0, maintainer.find(" <"));
  while (!maintainer.empty() && maintainer.front() == '"') maintainer.remove_prefix(1);
  while (!maintainer.empty() && maintainer.back() == '"') maintainer.remove_suffix(1);
  return std::string(maintainer);
}

class Reader {
 public:
  void read(std::FILE* stream, const std::function<void(std::size_t)>& progress) {
    Lines lines(stream);
    std::string_view line;
    while (lines.next(line)) {
      if (line.empty()) {
        end_of_package();
        if (products_.size() % 1000 == 0) progress(products_.size());
      } else if (cut(line, "Package: ")) {
        next_.name = line;
      } else if (cut(line, "Section: ")) {
        next_.category = line;
      } else if (cut(line, "Maintainer: ")) {
        next_.brand = name_of(line);
      } else if (cut(line, "Description: ")) {
        next_.description = line;
      } else if (cut(line, "Size: ")) {
        next_.cents = number(line) / 1024;
      } else if (cut(line, "Installed-Size: ")) {  // in KiB; where the download's size is not known
        if (next_.cents == 0) next_.cents = number(line);
      } else if (cut(line, "Depends: ")) {
        depends_ = line;
      }
    }
    end_of_package();
    progress(products_.size());
  }

  std::vector<Product> take(std::size_t limit) {
    for (Product& product : products_) product.popularity = needed_[product.name];
    std::sort(products_.begin(), products_.end(), [](const Product& a, const Product& b) {
      return a.popularity != b.popularity ? a.popularity > b.popularity : a.name < b.name;
    });
    if (products_.size() > limit) products_.resize(limit);
    Id id = 0;
    for (Product& product : products_) product.id = ++id;
    return std::move(products_);
  }

 private:
  void end_of_package() {
    // The index may hold several versions of a package: the first is the newest.
    if (!next_.name.empty() && seen_.insert(next_.name).second) {
      count_needs();
      next_.cents = std::max<std::int64_t>(next_.cents, 1);
      if (next_.category.empty()) next_.category = "misc";
      products_.push_back(std::move(next_));
    }
    next_ = {};
    depends_.clear();
  }

  /// "libc6 (>= 2.34), debconf | debconf-2.0": the names, each once.
  void count_needs() {
    std::string_view rest = depends_;
    std::unordered_set<std::string_view> names;
    while (!rest.empty()) {
      const std::size_t end = rest.find_first_of(",|");
      std::string_view name = rest.substr(0, end);
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
      while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
      name = name.substr(0, name.find_first_of(" :("));
      if (!name.empty() && names.insert(name).second) ++needed_[std::string(name)];
    }
  }

  Product next_;
  std::string depends_;
  std::vector<Product> products_;
  std::unordered_set<std::string> seen_;
  std::unordered_map<std::string, std::int64_t> needed_;
};

using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

}  // namespace

Catalogue read_catalogue(std::size_t limit, const std::function<void(std::size_t)>& progress) {
  Catalogue catalogue;
  {
    const Stream index(popen(kIndex, "r"), pclose);
    Reader reader;
    if (index) reader.read(index.get(), progress);
    catalogue = {reader.take(limit), "the package index of this machine (apt-cache dumpavail)"};
  }
  if (catalogue.products.empty()) {
    const Stream installed(std::fopen(kInstalled, "r"), std::fclose);
    Reader reader;
    if (installed) reader.read(installed.get(), progress);
    catalogue = {
        reader.take(limit),
        std::string(kInstalled) + ", for the package index is empty: `apt-get update` fills it with some 60,000"};
  }
  if (catalogue.products.empty())
    throw std::runtime_error(
        "there is no catalogue: `apt-cache dumpavail` says nothing and " + std::string(kInstalled) +
        " cannot be read. On Debian run `apt-get update` first; elsewhere this example has no goods");
  return catalogue;
}

}  // namespace shop
