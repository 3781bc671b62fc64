// A database store over a file that a test breaks.
#pragma once
#include <gtest/gtest.h>
#include <flux/cache/testing/fake_clock.hpp>

#include <fstream>
#include <string>

#include "support/database.hpp"

namespace flux::cache::testing {

class DatabaseFault : public ::testing::Test {
 protected:
  StorePtr open(SqliteConnection connection = {}, DatabaseConfig config = {}) {
    config.clock = &clock_;
    connection.database = path_;
    return make_database(config, connection);
  }
  void overwrite(const std::string& bytes) { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }
  bool is_whole() { return RawDatabase(path_).text("PRAGMA integrity_check") == "ok"; }

  ScratchDirectory directory_;
  std::string path_ = directory_ / "cache.sqlite";
  FakeClock clock_;
};

}  // namespace flux::cache::testing
