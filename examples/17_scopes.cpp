// examples/17_scopes.cpp - a request that asks once for each key, and invalidations that wait for a commit.
#include <flux/cache.hpp>

#include <chrono>
#include <iostream>

using flux::Cache;
using namespace std::chrono_literals;

int main() {
  Cache::put("setting", 1, 1h);
  // [memo]
  auto memo = Cache::memo();
  const auto before = memo.get<int>("setting");
  Cache::put("setting", 2, 1h);                 // somebody else, meanwhile
  const auto after = memo.get<int>("setting");  // still what this request has seen
  memo.put("setting", 3, 1h);                   // what the scope itself writes, it sees
  const auto own = memo.get<int>("setting");
  // [/memo]
  std::cout << "memo: " << *before << ", " << *after << ", " << *own << '\n';

  Cache::tags({"users"}).put("user_7", 7, 1h);
  // [deferred]
  auto deferred = Cache::deferred();
  deferred.tags({"users"}).flush();  // nothing happens yet: the transaction may still be rolled back
  const bool untouched = Cache::has("user_7");
  deferred.commit();  // after the database's own commit
  // [/deferred]
  std::cout << "before the commit " << (untouched ? "there" : "gone") << ", after it "
            << (Cache::has("user_7") ? "there" : "gone") << '\n';
  return before == 1 && after == 1 && own == 3 && untouched && Cache::missing("user_7") ? 0 : 1;
}
