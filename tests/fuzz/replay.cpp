// Runs a fuzzer without libFuzzer: every file of the corpus, then a fixed number of mutations of them from a fixed
// seed, so that each build meets the same inputs. usage: NAME_fuzz [--mutations N] FILE_OR_FOLDER...
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& seeds) : seeds_(seeds) {}

  std::string next() {
    std::string input = seeds_.empty() ? std::string() : seeds_[below(seeds_.size())];
    for (std::size_t times = 1 + below(6); times > 0; --times) mutate(input);
    return input;
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  char any_byte() { return static_cast<char>(random_()); }

  void mutate(std::string& input) {
    if (input.empty()) {
      input.assign(1 + below(32), any_byte());
      return;
    }
    const std::size_t at = below(input.size());
    switch (below(7)) {
      case 0: input[at] = any_byte(); break;
      case 1: input[at] = static_cast<char>(input[at] ^ (1 << below(8))); break;
      case 2: input.insert(at, 1 + below(8), any_byte()); break;
      case 3: input.erase(at, 1 + below(8)); break;
      case 4: input.resize(at); break;
      case 5: {  // a length that claims much
        for (std::size_t i = at; i < std::min(input.size(), at + 4); ++i) input[i] = '\xff';
        break;
      }
      default: {  // the end of another seed
        const std::string& other = seeds_[below(seeds_.size())];
        input.replace(at, std::string::npos, other.substr(std::min(at, other.size())));
      }
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_{20240101};
};

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t mutations = 20'000;
  std::vector<std::string> seeds;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--mutations" && i + 1 < argc) {
      mutations = std::strtoull(argv[++i], nullptr, 10);
      continue;
    }
    std::vector<std::filesystem::path> files;
    if (std::filesystem::is_directory(argument)) {
      for (const auto& entry : std::filesystem::directory_iterator(argument)) files.push_back(entry.path());
    } else {
      files.emplace_back(argument);
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) seeds.push_back(read(file));
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "%s: no seeds in the corpus\n", argv[0]);
    return 1;
  }
  for (const std::string& seed : seeds) run(seed);
  Mutator mutator(seeds);
  for (std::uint64_t i = 0; i < mutations; ++i) run(mutator.next());
  std::printf("%zu seeds and %llu mutations of them\n", seeds.size(), static_cast<unsigned long long>(mutations));
  return 0;
}
