// The whole test framework: TEST("sentence") { CHECK(..); CHECK_EQ(..); } in a file that ends with TEST_MAIN() or has
// its own main() that returns cdp::test::run(). A failed check is printed with file and line and the test goes on; a
// thrown exception fails the test. Exit code 1 when anything failed.
//
// Randomised tests draw from `cdp::test::seed()`: CDPSTORE_SEED of the environment, or fixed; printed at the start, so
// that a failure can be replayed. The first argument, when given, keeps only tests whose sentence contains it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace cdp::test {

struct Case {
  const char* sentence;
  void (*body)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}

inline int& failures() {
  static int count = 0;
  return count;
}

inline std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* text = std::getenv("CDPSTORE_SEED");
    return text == nullptr ? std::uint64_t{20240101} : std::strtoull(text, nullptr, 10);
  }();
  return value;
}

struct Register {
  Register(const char* sentence, void (*body)()) { cases().push_back({sentence, body}); }
};

template <class T>
std::string show(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, std::int8_t> || std::is_same_v<T, std::uint8_t>) {
    return std::to_string(static_cast<int>(value));
  } else if constexpr (requires(std::ostream& out) { out << value; }) {
    std::ostringstream out;
    out << value;
    return out.str();
  } else {
    return "<value>";
  }
}

// Integers that std::cmp_equal takes: a signed and an unsigned one compare by value, without a warning.
template <class T>
inline constexpr bool is_number = std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>;

inline void fail(const char* file, int line, const std::string& what) {
  ++failures();
  std::printf("%s:%d: %s\n", file, line, what.c_str());
}

template <class Left, class Right>
void check_eq(const char* file, int line, const char* text, const Left& left, const Right& right) {
  bool equal;
  if constexpr (is_number<Left> && is_number<Right>) {
    equal = std::cmp_equal(left, right);
  } else {
    equal = left == right;
  }
  if (!equal) fail(file, line, std::string(text) + ": " + show(left) + " != " + show(right));
}

inline int run(int argument_count = 0, char** arguments = nullptr) {
  const std::string_view only = argument_count > 1 ? arguments[1] : "";
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed()));
  int ran = 0;
  for (const Case& test : cases()) {
    if (std::string_view(test.sentence).find(only) == std::string_view::npos) continue;
    ++ran;
    const int before = failures();
    try {
      test.body();
    } catch (const std::exception& error) {
      fail(test.sentence, 0, std::string("threw ") + error.what());
    }
    std::printf("%s  %s\n", failures() == before ? "ok    " : "FAILED", test.sentence);
    std::fflush(stdout);
  }
  std::printf("%d tests, %d failures\n", ran, failures());
  return failures() == 0 && ran > 0 ? 0 : 1;
}

}  // namespace cdp::test

#define CDP_TEST_JOIN_(a, b) a##b
#define CDP_TEST_JOIN(a, b) CDP_TEST_JOIN_(a, b)

#define CDP_TEST_CASE(sentence, id)                                                                               \
  static void CDP_TEST_JOIN(test_body_, id)();                                                                    \
  static const ::cdp::test::Register CDP_TEST_JOIN(test_register_, id)(sentence, &CDP_TEST_JOIN(test_body_, id)); \
  static void CDP_TEST_JOIN(test_body_, id)()
#define TEST(sentence) CDP_TEST_CASE(sentence, __COUNTER__)

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) ::cdp::test::fail(__FILE__, __LINE__, "CHECK(" #condition ")"); \
  } while (false)

#define CHECK_EQ(left, right) \
  ::cdp::test::check_eq(__FILE__, __LINE__, "CHECK_EQ(" #left ", " #right ")", (left), (right))

#define CHECK_THROWS(expression, Exception)                                                         \
  do {                                                                                              \
    bool thrown_ = false;                                                                           \
    try {                                                                                           \
      static_cast<void>(expression);                                                                \
    } catch (const Exception&) {                                                                    \
      thrown_ = true;                                                                               \
    }                                                                                               \
    if (!thrown_) ::cdp::test::fail(__FILE__, __LINE__, #expression " does not throw " #Exception); \
  } while (false)

#define TEST_MAIN() \
  int main(int argument_count, char** arguments) { return ::cdp::test::run(argument_count, arguments); }
