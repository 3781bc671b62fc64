// The product of fifteen fields that formats are measured with.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

struct Product {
  std::int64_t id = 0;
  std::string name;
  std::string sku;
  std::string description;
  double price = 0;
  double weight = 0;
  std::uint32_t stock = 0;
  bool active = false;
  std::vector<std::string> tags;
  std::map<std::string, std::string> attributes;
  std::string brand;
  std::string category;
  float rating = 0;
  std::uint64_t views = 0;
  std::int64_t updated = 0;
  bool operator==(const Product&) const = default;
};

inline Product product() {
  return {471147,
          "Espresso machine",
          "EM-2000-S",
          "Fifteen bar of pressure, a steam wand, and a tank of 1.8 litres; in stainless steel.",
          249.9,
          4.55,
          12,
          true,
          {"kitchen", "coffee", "steel"},
          {{"colour", "silver"}, {"power", "1350 W"}},
          "Bella",
          "appliances",
          4.5F,
          1234567,
          1700000000};
}
