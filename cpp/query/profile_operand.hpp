// A condition of a question's selector whose right side is the profile's own (trait_operand.hpp): found by the row's profile.
//
// Rows come in runs of one profile, a profile's in every chunk anew: what was found is kept in a table that forgets.
// Threads: any number at once. Cost: ~40 ns a run of rows, and once a profile what its trait or aggregate costs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "query/moment.hpp"
#include "query/trait_operand.hpp"
#include "store/version.hpp"

namespace cdp {

class ProfileOperand {
 public:
  // REQUIRES: `at` has an instant; the version outlives this.
  ProfileOperand(const OperandTest& test, const Version& version, const Moment& at);
  [[nodiscard]] bool resolved() const noexcept { return test_.resolved(); }
  // The right side for the profile that a row of this origin belongs to.
  [[nodiscard]] Value right_of(Origin origin) const;
  // A missing left side passes where the condition says so.
  [[nodiscard]] bool passes(const Value& left, const Value& right) const {
    return left.type == ValueType::kNull ? missing_ : test_.passes(left, right);
  }

 private:
  struct Entry {
    Origin home{};
    bool known = false;
    Value value;
  };
  static constexpr std::size_t kParts = 16;
  static constexpr std::size_t kEntries = 2'048;  // of a part: together more than a stripe has profiles
  struct Part {
    std::mutex mutex;
    std::vector<Entry> entries;  // by the home's number; empty until the first is asked for
  };

  BoundOperandTest test_;
  const Version* version_;
  std::int64_t now_ms_;
  bool missing_;
  mutable std::array<Part, kParts> parts_;
};

}  // namespace cdp
