// error.hpp: codes, the line for a person, and which exception belongs to which code.
#include <gtest/gtest.h>
#include <flux/cache/error.hpp>

#include <set>

namespace flux::cache {
namespace {

constexpr int kCodes = static_cast<int>(Errc::shut_down);

TEST(Errc, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 1; code <= kCodes; ++code) names.insert(to_string(static_cast<Errc>(code)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kCodes));
  EXPECT_EQ(names.count("unknown"), 0u);
}

TEST(Errc, ANumberThatIsNoCodeIsCalledUnknown) { EXPECT_EQ(to_string(static_cast<Errc>(200)), "unknown"); }

TEST(Errc, OnlyWhatMaySucceedUnchangedIsTransient) {
  for (int code = 1; code <= kCodes; ++code) {
    const auto errc = static_cast<Errc>(code);
    EXPECT_EQ(is_transient(errc), errc == Errc::unavailable || errc == Errc::timeout || errc == Errc::rejected)
        << to_string(errc);
  }
}

TEST(Error, IsOneLineThatNamesStoreOperationKeyAndCause) {
  const Error error{Errc::unavailable, "connection refused", "redis", "get", "k"};
  EXPECT_EQ(error.to_string(), "redis: get \"k\": unavailable: connection refused");
}

TEST(Error, LeavesOutWhatIsNotKnown) {
  EXPECT_EQ((Error{.code = Errc::timeout}.to_string()), "timeout");
  EXPECT_EQ((Error{.code = Errc::timeout, .operation = "flush"}.to_string()), "flush: timeout");
  EXPECT_EQ((Error{.code = Errc::corrupt, .key = "k"}.to_string()), "\"k\": corrupt");
}

TEST(Error, EscapesAKeyThatATerminalCouldNotBear) {
  const Error error{.code = Errc::bad_key, .operation = "put", .key = std::string("a\"\\\n\0\x1b", 6)};
  EXPECT_EQ(error.to_string(), "put \"a\\\"\\\\\\x0a\\x00\\x1b\": bad_key");
}

TEST(Error, CutsAKeyThatIsTooLongToRead) {
  const Error error{.code = Errc::bad_key, .key = std::string(5000, 'k')};
  EXPECT_LT(error.to_string().size(), 200u);
  EXPECT_NE(error.to_string().find("...: bad_key"), std::string::npos);
}

template <class Expected>
bool raises(Errc code) {
  try {
    raise(Error{.code = code, .message = "why"});
  } catch (const Expected& exception) {
    return exception.error().code == code && std::string_view(exception.what()) == exception.error().to_string();
  } catch (...) {
  }
  return false;
}

TEST(Raise, AnswersEachCodeWithItsException) {
  for (const Errc code : {Errc::unavailable, Errc::timeout, Errc::rejected, Errc::corrupt, Errc::too_large,
                          Errc::denied, Errc::shut_down}) {
    EXPECT_TRUE(raises<StoreUnavailable>(code)) << to_string(code);
  }
  for (const Errc code : {Errc::wrong_type, Errc::not_serializable, Errc::schema}) {
    EXPECT_TRUE(raises<TypeMismatch>(code)) << to_string(code);
  }
  EXPECT_TRUE(raises<InvalidKey>(Errc::bad_key));
  EXPECT_TRUE(raises<InvalidTag>(Errc::bad_tag));
  EXPECT_TRUE(raises<NotANumber>(Errc::not_a_number));
  EXPECT_TRUE(raises<Overflow>(Errc::overflow));
  EXPECT_TRUE(raises<Unsupported>(Errc::unsupported));
  EXPECT_TRUE(raises<Unsupported>(Errc::prohibited));
  EXPECT_TRUE(raises<ConfigError>(Errc::bad_config));
}

TEST(Raise, AllItThrowsIsAnException) {
  for (int code = 1; code <= kCodes; ++code) EXPECT_TRUE(raises<Exception>(static_cast<Errc>(code)));
}

}  // namespace
}  // namespace flux::cache
