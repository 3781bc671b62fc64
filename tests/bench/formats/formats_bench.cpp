// Formats and frames beside their peers, in interleaved rounds, so that a noisy machine harms all alike. Prints the
// median time of each in nanoseconds and the ratio to its peer. usage: formats_bench [rounds]
#include <time.h>
#include <flux/cache/frame.hpp>
#include <flux/cache/serial.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "peers.hpp"

namespace {

using namespace flux::cache;

/// CPU time of this thread: what others do on the machine counts little.
double now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

void keep(const void* result) { asm volatile("" : : "r"(result) : "memory"); }

struct Contender {
  const char* name;
  std::function<void()> once;
  std::vector<double> times;

  double median() {
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }
};

/// What `wanted` says of the first contender's time: an absolute one, or a ratio to the last contender's.
struct Race {
  const char* title;
  const char* wanted;
  std::vector<Contender> contenders;

  void run(int rounds) {
    for (int round = 0; round <= rounds; ++round) {
      for (Contender& contender : contenders) {
        int times = 64;
        const double start = now();
        double end = start;
        int done = 0;
        while (end - start < 1e6) {
          for (int i = 0; i < times; ++i) contender.once();
          done += times;
          end = now();
        }
        if (round > 0) contender.times.push_back((end - start) / done);  // the first round warms up
      }
    }
    const double peer = contenders.back().median();
    std::printf("%s (wanted: %s)\n", title, wanted);
    for (Contender& contender : contenders) {
      std::printf("  %-28s %10.1f ns   %6.2f x\n", contender.name, contender.median(), contender.median() / peer);
    }
  }
};

template <class T>
std::string encode(const Format& format, const T& value) {
  std::string out;
  if (!format.encode(type_of<T>(), &value, out, {}).ok()) std::abort();
  return out;
}

template <class T>
void decode(const Format& format, const std::string& bytes) {
  auto loaded = format.decode(type_of<T>(), bytes, {});
  if (!loaded.ok()) std::abort();
  keep(loaded->get());
}

template <class T>
void race_formats(const char* what, const T& value, int rounds, const char* native_wanted, const char* msgpack_wanted,
                  const char* json_wanted) {
  const Format& native = native_format();
  const Format* msgpack = formats().find("msgpack");
  const Format* json = formats().find("json");
  const auto encoding = [&](const Format& format) {
    return Contender{format.name().data(), [&] { keep(encode(format, value).data()); }, {}};
  };
  const auto decoding = [&](const Format& format) {
    return Contender{format.name().data(), [&, bytes = encode(format, value)] { decode<T>(format, bytes); }, {}};
  };
  const Contender pack{"msgpack-c", [&] { keep(msgpack_encode(value).data()); }, {}};
  const Contender unpack{"msgpack-c",
                         [bytes = msgpack_encode(value)] {
                           T back;
                           msgpack_decode(bytes, back);
                           keep(&back);
                         },
                         {}};
  const Contender dump{"nlohmann DOM", [&] { keep(nlohmann_encode(value).data()); }, {}};
  const Contender parse{"nlohmann DOM",
                        [bytes = nlohmann_encode(value)] {
                          T back;
                          nlohmann_decode(bytes, back);
                          keep(&back);
                        },
                        {}};
  std::printf("\n== %s: native %zu B, msgpack %zu B, json %zu B\n", what, encode(native, value).size(),
              encode(*msgpack, value).size(), encode(*json, value).size());
  Race{"native, encode", native_wanted, {encoding(native), pack}}.run(rounds);
  Race{"native, decode", native_wanted, {decoding(native), unpack}}.run(rounds);
  Race{"msgpack, encode", msgpack_wanted, {encoding(*msgpack), pack}}.run(rounds);
  Race{"msgpack, decode", msgpack_wanted, {decoding(*msgpack), unpack}}.run(rounds);
  Race{"json, encode", json_wanted, {encoding(*json), dump}}.run(rounds);
  Race{"json, decode", json_wanted, {decoding(*json), parse}}.run(rounds);
}

void race_with_names(int rounds) {
  const Product value = product();
  const Format& native = native_format();
  const Format& msgpack = *formats().find("msgpack");
  const std::string bytes = encode(native, value), ours = encode(msgpack, value), theirs = msgpack_encode_map(value);
  std::printf("\n== the same product beside msgpack-c with field names (%zu B), and a plain copy\n", theirs.size());
  Race{"encode",
       "",
       {{"plain copy", [&] { keep(std::make_shared<Product>(value).get()); }, {}},
        {"native", [&] { keep(encode(native, value).data()); }, {}},
        {"msgpack", [&] { keep(encode(msgpack, value).data()); }, {}},
        {"msgpack-c, names", [&] { keep(msgpack_encode_map(value).data()); }, {}}}}
      .run(rounds);
  Race{"decode",
       "",
       {{"native", [&] { decode<Product>(native, bytes); }, {}},
        {"msgpack", [&] { decode<Product>(msgpack, ours); }, {}},
        {"msgpack-c, names",
         [&] {
           Product back;
           msgpack_decode_map(theirs, back);
           keep(&back);
         },
         {}}}}
      .run(rounds);
}

void race_frames(std::size_t size, int rounds, const char* wanted) {
  const std::string text(size, 'x');
  const std::string frame = *encode_text_frame({}, text);
  std::printf("\n== frame around a text of %zu B\n", size);
  Race{"encode",
       wanted,
       {{"frame", [&] { keep(encode_text_frame({}, text)->data()); }, {}},
        {"copy of the text", [&] { keep(std::string(text).data()); }, {}}}}
      .run(rounds);
  Race{"decode",
       wanted,
       {{"frame", [&] { keep(decode_text_frame(frame)->data()); }, {}},
        {"copy of the text", [&] { keep(std::string(text).data()); }, {}}}}
      .run(rounds);
}

void race_compressors(int rounds) {
  std::string text;
  for (int i = 0; text.size() < 701; ++i)
    text += "{\"id\":" + std::to_string(i * 7919) + ",\"name\":\"item\",\"tags\":[\"a\",\"b\"]},";
  for (const char* name : {"zstd", "gzip"}) {
    const Compressor* compressor = compressors().find(name);
    if (compressor == nullptr) continue;
    const FrameOptions options{.compressor = compressor};
    const std::string frame = *encode_text_frame(options, text);
    std::printf("\n== %s of %zu B of JSON: %zu B with the frame\n", name, text.size(), frame.size());
    Race{"compress", "", {{name, [&] { keep(encode_text_frame(options, text)->data()); }, {}}}}.run(rounds);
    Race{"decompress", "", {{name, [&] { keep(decode_text_frame(frame)->data()); }, {}}}}.run(rounds);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(3, std::atoi(argv[1])) : 15;
  std::vector<double> numbers;
  for (int i = 0; i < 1000; ++i) numbers.push_back(std::sqrt(static_cast<double>(i)) * 1.7);
  race_formats("product of 15 fields", product(), rounds, "0.50 x, and 400 / 1200 ns", "", "0.40 x");
  race_with_names(rounds);
  race_formats("1,000 doubles", numbers, rounds, "", "0.10 x", "0.40 x");
  race_frames(100, rounds, "100 ns");
  race_frames(10'000, rounds, "1000 ns");
  race_compressors(rounds);
}
