// examples/12_formats.cpp - how values become bytes: native, msgpack, json; compressed; as plain documents.
#include <flux/cache.hpp>
#include <flux/cache/frame.hpp>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

namespace cache = flux::cache;
using namespace std::chrono_literals;

struct Track {
  std::string title;
  int seconds = 0;
  std::vector<double> waveform;
};

int main() {
  const Track track{"Nocturne", 254, std::vector<double>(500, 0.25)};

  // [configured]
  // Each store says how it keeps its values. A memory store that names one keeps bytes instead of objects.
  const cache::StoreManager manager(cache::Config::from_json(R"({
    "default": "packed",
    "stores": {
      "packed":   {"driver": "memory", "serializer": "msgpack", "compression": "zstd"},
      "readable": {"driver": "memory", "serializer": "json", "frame": false}
    }
  })"));
  manager.store("packed").put("track", track, 1h);
  manager.store("readable").put("track", track, 1h);
  // [/configured]
  bool held = manager.store("packed").get<Track>("track")->waveform == track.waveform &&
              manager.store("readable").get<Track>("track")->title == "Nocturne";

  // [bytes]
  // What a store is handed: a frame that names format, compressor and type, with a checksum.
  for (const char* format : {"native", "msgpack", "json"})
    for (const char* compressor : {"none", "gzip", "zstd"}) {
      const auto bytes = cache::encode_value(
          {.format = cache::formats().find(format), .compressor = cache::compressors().find(compressor)},
          cache::type_of<Track>(), &track);
      std::printf("%-8s %-5s %5zu bytes\n", format, compressor, bytes->size());
      held = held && cache::decode_value(*bytes, cache::type_of<Track>()).ok();
    }
  // [/bytes]

  // [plain]
  // Without the frame: the document alone, for any other program to read and write.
  const Track jingle{"Jingle", 3, {0.5, 1}};
  const auto document =
      cache::encode_value({.format = cache::formats().find("json"), .frame = false}, cache::type_of<Track>(), &jingle);
  std::cout << "plain: " << *document << '\n';
  // [/plain]

  return held && *document == R"({"title":"Jingle","seconds":3,"waveform":[0.5,1]})" ? 0 : 1;
}
