// Exact sums: known hard cases, any order, any split, and 128-bit fixed point as the reference.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "query/exact_sum.hpp"

namespace {

using cdp::ExactSum;

double sum_of(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) sum.add_float(value);
  return sum.rounded();
}

TEST("sums that lose everything in doubles come out exact") {
  CHECK_EQ(sum_of({1e308, 1e308, -1e308}), 1e308);
  CHECK_EQ(sum_of({1e16, 1, -1e16}), 1.0);
  CHECK_EQ(sum_of({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}), 1.0);
  CHECK_EQ(sum_of({5e-324, 5e-324, -5e-324}), 5e-324);
  CHECK_EQ(sum_of({1e308, 1e308}), std::numeric_limits<double>::infinity());
  CHECK_EQ(sum_of({-1e308, -1e308}), -std::numeric_limits<double>::infinity());
  CHECK_EQ(sum_of({9007199254740992.0, 1.0}), 9007199254740992.0);          // half to even
  CHECK_EQ(sum_of({9007199254740992.0, 1.0, 5e-324}), 9007199254740994.0);  // above half, barely
  CHECK_EQ(sum_of({-9007199254740992.0, -1.0, -5e-324}), -9007199254740994.0);
  CHECK_EQ(sum_of({2.2250738585072014e-308, -5e-324}), 2.225073858507201e-308);
}

TEST("sums equal fixed point in 128 bits, in any order, split, and mixed with integers") {
  std::mt19937_64 random(cdp::test::seed());
  for (int round = 0; round < 2'000; ++round) {
    __int128 exact = 0;  // · 2^-40
    std::vector<ExactSum> parts(1 + random() % 4);
    const std::size_t count = 1 + random() % 50;
    for (std::size_t i = 0; i < count; ++i) {
      ExactSum& part = parts[random() % parts.size()];
      if (random() % 4 == 0) {
        const auto value = static_cast<std::int64_t>(random()) >> (random() % 60);
        part.add_int(value);
        exact += static_cast<__int128>(value) << 40;
      } else {
        const auto value = (static_cast<std::int64_t>(random()) >> 11) >> (random() % 50);
        part.add_float(std::ldexp(static_cast<double>(value), -40));
        exact += value;
      }
    }
    std::shuffle(parts.begin(), parts.end(), random);
    ExactSum total;
    for (const ExactSum& part : parts) total.merge(part);
    CHECK_EQ(total.rounded(), std::ldexp(static_cast<double>(exact), -40));
    CHECK_EQ(total.sign(), exact > 0 ? 1 : (exact < 0 ? -1 : 0));
    ExactSum fixed;
    fixed.add_fixed(exact, -40);
    CHECK_EQ(fixed.rounded(), total.rounded());
  }
}

TEST("a mean is the nearest double of the exact quotient") {
  std::mt19937_64 random(cdp::test::seed() + 1);
  for (int round = 0; round < 5'000; ++round) {
    const auto total = static_cast<std::int64_t>(random() % (1u << 30)) + 1;
    const std::uint64_t count = 1 + random() % 1'000;
    ExactSum sum;
    sum.add_int(round % 2 == 0 ? total : -total);
    const double mean = std::fabs(sum.mean(count));
    const auto error = [&](double candidate) {  // |candidate · count − total| · 2^80, exactly
      const __int128 product = static_cast<__int128>(std::ldexp(candidate, 80)) * static_cast<__int128>(count);
      const __int128 wanted = static_cast<__int128>(total) << 80;
      return product > wanted ? product - wanted : wanted - product;
    };
    CHECK(error(mean) <= error(std::nextafter(mean, 0)));
    CHECK(error(mean) <= error(std::nextafter(mean, 1e300)));
  }
  ExactSum tiny;
  tiny.add_float(5e-324);
  CHECK_EQ(tiny.mean(2), 0.0);  // half to even
  tiny.add_float(1e-323);
  CHECK_EQ(tiny.mean(2), 1e-323);
}

}  // namespace

TEST_MAIN()
