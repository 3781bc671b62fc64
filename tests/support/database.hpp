// What the tests of the database store share: stores on scratch files, and a second pair of hands on the same file.
#pragma once
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <flux/cache/stores/database.hpp>
#include <flux/cache/testing/fake_clock.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "support/outcome.hpp"
#include "support/scratch_directory.hpp"

namespace flux::cache::testing {

/// The file as another program sees it.
class RawDatabase {
 public:
  explicit RawDatabase(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &database_), SQLITE_OK);
    sqlite3_busy_timeout(database_, 5000);
  }
  ~RawDatabase() { sqlite3_close(database_); }
  RawDatabase(const RawDatabase&) = delete;
  RawDatabase& operator=(const RawDatabase&) = delete;

  void run(const std::string& sql) {
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << sql << ": " << message;
    sqlite3_free(message);
  }
  std::string text(const std::string& sql) {
    std::string answer;
    sqlite3_exec(
        database_, sql.c_str(),
        [](void* into, int, char** values, char**) {
          *static_cast<std::string*>(into) = values[0] != nullptr ? values[0] : "";
          return 0;
        },
        &answer, nullptr);
    return answer;
  }
  std::int64_t number(const std::string& sql) {
    const std::string answer = text(sql);
    return answer.empty() ? -1 : std::stoll(answer);
  }

 private:
  sqlite3* database_ = nullptr;
};

inline Entry number_entry(std::int64_t number, const Expiry& expiry = {}) {
  Entry entry;
  entry.value = {.kind = Kind::integer, .number = number};
  entry.expiry = expiry;
  return entry;
}

/// The value of a key as text; nothing on a miss, the error's name in angle brackets where there is one.
inline std::optional<std::string> text_of(Store& store, std::string_view key, const Read& how = {}) {
  std::optional<std::string> text;
  const auto there = store.get(Key(key), how, [&](const Entry& entry) {
    text = entry.value.kind == Kind::integer ? std::to_string(entry.value.number) : std::string(entry.value.text);
  });
  if (!there.ok()) return "<" + std::string(to_string(there.error().code)) + ">";
  return text;
}
inline bool put_text(Store& store, std::string_view key, std::string_view text, const Expiry& expiry = {}) {
  auto written = store.put(Key(key), text_entry(text, expiry), {});
  return written.ok() && *written;
}

}  // namespace flux::cache::testing
