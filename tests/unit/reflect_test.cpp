// reflect.hpp: the fields of a struct and their names.
#include <gtest/gtest.h>
#include <flux/cache/reflect.hpp>

#include <any>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace shop {

template <class T>
struct Page {
  int number = 0;
  std::vector<T> items;
};

class Basket {
  int owner_ = 7;
  std::string note_ = "hello";
  FLUX_CACHE_FIELDS(Basket, owner_, note_)
};

class GiftBasket : public Basket {
 public:
  int ribbon = 0;
};

}  // namespace shop

namespace flux::cache {
namespace {

template <class T>
std::vector<std::string> names_of() {
  const FieldNames names = field_names<T>();
  return {names.names, names.names + names.count};
}

using Names = std::vector<std::string>;

struct Hidden {
  int first = 0;
  std::string second;
  const int third = 3;
  std::unique_ptr<int> fourth;
};

struct Everything {
  std::optional<std::string> optional;
  std::variant<int, std::string> variant;
  std::any any;
  std::function<void()> function;
  std::list<int> list;
  std::string_view view;
  struct Inner {
    int a, b;
  } inner;
  int* pointer;
  void (*call)();
  char letter;
};

struct Nothing {};
struct Based : Hidden {
  int own = 0;
};
struct WithArray {
  int numbers[3];
  int last;
};
struct WithReference {
  int& elsewhere;
};
union Either {
  int a;
  float b;
};

struct Sixtyfour {
  int a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3,
      d4, d5, d6, d7, e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, f4, f5, f6, f7, g0, g1, g2, g3, g4, g5, g6, g7,
      h0, h1, h2, h3, h4, h5, h6, h7;
};
struct Sixtyfive {
  Sixtyfour most;
  int a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7, c0, c1, c2, c3, c4, c5, c6, c7, d0, d1, d2, d3,
      d4, d5, d6, d7, e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, f4, f5, f6, f7, g0, g1, g2, g3, g4, g5, g6, g7,
      h0, h1, h2, h3, h4, h5, h6, h7;
};

TEST(Reflect, NamesTheFieldsOfAnAggregateInOrder) {
  EXPECT_EQ(names_of<Hidden>(), (Names{"first", "second", "third", "fourth"}));
}

TEST(Reflect, NamesTheFieldsOfATemplatesInstance) {
  EXPECT_EQ(names_of<shop::Page<std::string>>(), (Names{"number", "items"}));
}

TEST(Reflect, KnowsTypesThatAreDefinedInAFunction) {
  struct Local {
    int here;
    std::vector<int> there;
  };
  EXPECT_EQ(names_of<Local>(), (Names{"here", "there"}));
}

TEST(Reflect, CountsFieldsThatTakeAnything) {
  EXPECT_EQ(names_of<Everything>(),
            (Names{"optional", "variant", "any", "function", "list", "view", "inner", "pointer", "call", "letter"}));
}

TEST(Reflect, AnEmptyStructHasNoFields) { EXPECT_EQ(field_count<Nothing>, 0u); }

TEST(Reflect, TakesSixtyfourFieldsAndNoMore) {
  EXPECT_EQ(field_count<Sixtyfour>, 64u);
  EXPECT_EQ(names_of<Sixtyfour>().front(), "a0");
  EXPECT_EQ(names_of<Sixtyfour>().back(), "h7");
  EXPECT_FALSE(HasFields<Sixtyfive>);
}

TEST(Reflect, DoesNotMistakeWhatItCannotTakeApart) {
  EXPECT_FALSE(HasFields<Based>);
  EXPECT_FALSE(HasFields<WithArray>);
  EXPECT_FALSE(HasFields<WithReference>);
  EXPECT_FALSE(HasFields<Either>);
  EXPECT_FALSE(HasFields<std::string>);
  EXPECT_FALSE(HasFields<int>);
}

TEST(Reflect, HandsOutTheFieldsThemselves) {
  Hidden object{1, "two", 3, std::make_unique<int>(4)};
  visit_fields(object, [](int& first, std::string& second, const int& third, std::unique_ptr<int>& fourth) {
    first += third + *fourth;
    second += "!";
  });
  EXPECT_EQ(object.first, 8);
  EXPECT_EQ(object.second, "two!");
}

TEST(Reflect, AClassListsItsPrivateFields) {
  EXPECT_EQ(names_of<shop::Basket>(), (Names{"owner_", "note_"}));
  shop::Basket basket;
  visit_fields(basket, [](int& owner, std::string& note) {
    EXPECT_EQ(owner, 7);
    note = "changed";
  });
  const shop::Basket& same = basket;
  EXPECT_EQ(visit_fields(same, [](const int&, const std::string& note) { return note; }), "changed");
}

TEST(Reflect, ADerivedClassDoesNotInheritTheListOfItsBase) { EXPECT_FALSE(HasFields<shop::GiftBasket>); }

TEST(Reflect, AClassWithinAFunctionMayListItsFields) {
  class Local {
    int count_ = 1;
    FLUX_CACHE_FIELDS(Local, count_)
  };
  EXPECT_EQ(names_of<Local>(), (Names{"count_"}));
}

TEST(Reflect, SpellsATypesOwnNameWithoutItsSurroundings) {
  EXPECT_EQ(detail::plain_name_of<shop::Page<std::vector<int>>>(), "Page");
  EXPECT_EQ(detail::plain_name_of<Everything::Inner>(), "Inner");
  EXPECT_EQ(detail::plain_name_of<Hidden>(), "Hidden");
}

}  // namespace
}  // namespace flux::cache
