// examples/shop/catalogue.hpp - the goods: the package index of a Debian machine, read as a catalogue.
//
// Section is the category, the maintainer's name (without address) the brand, and a package costs one cent for each
// KiB of its download, at least one. It is as popular as the number of packages that depend on it.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "model.hpp"

namespace shop {

struct Catalogue {
  std::vector<Product> products;  // the most popular first, numbered from 1
  std::string source;             // where they come from, for people
};

/// Reads the index of available packages; where there is none, the list of those that are installed. At most `limit`
/// products, the most popular ones. Calls `progress` with how many were read so far. Throws std::runtime_error saying
/// what to do where neither can be read.
Catalogue read_catalogue(std::size_t limit, const std::function<void(std::size_t read)>& progress);

}  // namespace shop
