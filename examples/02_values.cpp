// examples/02_values.cpp - what can be cached: structs as they stand, containers, classes, foreign types.
#include <flux/cache.hpp>
#include <flux/cache/codec.hpp>

#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

using flux::Cache;
using namespace std::chrono_literals;

// [struct]
// A plain aggregate: nothing to register. Nested ones and standard containers likewise.
struct Address {
  std::string city;
  std::string street;
};

struct Customer {
  int id = 0;
  std::string name;
  std::vector<Address> addresses;
  std::map<std::string, double> discounts;
  std::optional<std::string> email;
  std::chrono::seconds time_on_site{0};
};
// [/struct]

// [class]
// A class with private parts lists what is to be kept, once.
class Account {
 public:
  Account() = default;
  explicit Account(long cents) : cents_(cents) {}
  long cents() const { return cents_; }

 private:
  FLUX_CACHE_FIELDS(Account, cents_)
  long cents_ = 0;
};
// [/class]

// A type of somebody else's library that we cannot touch...
namespace geo {
struct Point {
  Point(double lat, double lon) : lat(lat), lon(lon) {}
  double lat, lon;
};
}  // namespace geo

// [codec]
// ...says in one place how it is written and read.
template <>
struct flux::cache::Codec<geo::Point> {
  static void save(const geo::Point& point, Writer& out) {
    out.number(point.lat);
    out.number(point.lon);
  }
  static geo::Point load(Reader& in) {
    const double lat = in.number();
    return {lat, in.number()};
  }
};
// [/codec]

int main() {
  const Customer ada{7, "Ada", {{"London", "St James's Square"}}, {{"books", 0.1}}, std::nullopt, 95s};

  // [typed]
  Cache::put("customer_7", ada, 1h);
  std::optional<Customer> found = Cache::get<Customer>("customer_7");
  std::cout << found->name << " in " << found->addresses[0].city << '\n';

  // A default says by its type what is read.
  std::cout << "visits: " << Cache::get("visits_7", 0) << '\n';
  std::cout << "name:   " << Cache::get("nickname_7", [&] { return ada.name; }) << '\n';
  // [/typed]

  // [shared]
  // The very object, immutable and not copied, where the store holds live objects; a copy of its own elsewhere.
  std::shared_ptr<const Customer> shared = Cache::get_shared<Customer>("customer_7");
  // [/shared]

  Cache::put("account_7", Account(1999), 1h);
  Cache::put("home_7", geo::Point(51.5, -0.13), 1h);
  std::cout << "balance: " << Cache::get<Account>("account_7")->cents() << " cents, home at "
            << Cache::get<geo::Point>("home_7")->lat << " degrees north\n";

  // [presence]
  // Presence decides, never truth: false, 0 and "" are values like any other.
  Cache::put("newsletter_7", false, 1h);
  const auto newsletter = Cache::get<bool>("newsletter_7");
  std::cout << "newsletter: " << (newsletter ? "answered" : "never asked") << '\n';
  // [/presence]

  // [mismatch]
  // Another type than was stored is a miss; `try_get` says why. Integers are read at any width that fits.
  Cache::put("age", 36, 1h);
  const auto wrong = Cache::try_get<Customer>("age");
  std::cout << "age as a customer: " << (wrong.ok() ? "?" : wrong.error().to_string()) << '\n';
  const std::optional<long long> wide = Cache::get<long long>("age");
  // [/mismatch]

  const bool there = Cache::has("customer_7");
  // [let-go]
  Cache::forget("customer_7");     // one
  Cache::tags({"users"}).flush();  // what carries a label
  Cache::flush();                  // all
  // [/let-go]

  const bool held = there && Cache::missing("home_7") && found && found->time_on_site == 95s && shared &&
                    shared->discounts.at("books") == 0.1 && newsletter == false && !wrong.ok() && wide == 36;
  return held ? 0 : 1;
}
