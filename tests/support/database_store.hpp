// A database store over a file of the test's own.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/testing/fake_clock.hpp>

#include <string>

#include "support/database.hpp"

namespace flux::cache::testing {

class DatabaseStore : public ::testing::Test {
 protected:
  StorePtr open(DatabaseConfig config = {}) {
    config.clock = &clock_;
    return make_database(config, {.database = path_});
  }
  Expiry in(Duration life) const { return Expiry::at(after(clock_.now(), life)); }

  ScratchDirectory directory_;
  std::string path_ = directory_ / "cache.sqlite";
  FakeClock clock_;
};

}  // namespace flux::cache::testing
