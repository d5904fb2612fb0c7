#include "store/trait_page.hpp"

namespace cdp {

std::uint32_t TraitPage::make(std::uint32_t slot) {
  if (dense_) return slot;
  const auto at = std::lower_bound(slots_.begin(), slots_.end(), slot);
  const auto cell = at - slots_.begin();
  if (at != slots_.end() && *at == slot) return static_cast<std::uint32_t>(cell);
  if (slots_.size() == kSparseMax) {
    spread();
    return slot;
  }
  slots_.insert(at, static_cast<std::uint16_t>(slot));
  types_.insert(types_.begin() + cell, 0);
  newest_.insert(newest_.begin() + cell, 0);
  if (wide_.empty()) {
    narrow_.insert(narrow_.begin() + cell, 0);
  } else {
    wide_.insert(wide_.begin() + cell, 0);
  }
  return static_cast<std::uint32_t>(cell);
}

void TraitPage::spread() {
  const auto scatter = [&](auto& column) {
    if (column.empty()) return;
    std::remove_reference_t<decltype(column)> all(kOrigins);
    for (std::size_t cell = 0; cell < slots_.size(); ++cell) all[slots_[cell]] = column[cell];
    column = std::move(all);
  };
  scatter(types_);
  scatter(narrow_);
  scatter(wide_);
  scatter(newest_);
  slots_ = {};
  dense_ = true;
}

void TraitPage::set_value(std::uint32_t cell, const Value& value) {
  if (wide_.empty()) {
    const auto narrow = static_cast<std::uint32_t>(value.bits);
    if (widen(value.type, narrow) == value.bits) {
      types_[cell] = static_cast<std::uint8_t>(value.type);
      narrow_[cell] = narrow;
      return;
    }
    wide_.resize(narrow_.size());
    for (std::size_t at = 0; at < narrow_.size(); ++at) {
      wide_[at] = widen(static_cast<ValueType>(types_[at]), narrow_[at]);
    }
    narrow_ = {};
  }
  types_[cell] = static_cast<std::uint8_t>(value.type);
  wide_[cell] = value.bits;
}

void TraitPage::values(std::uint32_t first, std::span<Value> out) const noexcept {
  if (dense_) {
    for (std::size_t index = 0; index < out.size(); ++index) {
      out[index] = value(first + static_cast<std::uint32_t>(index));
    }
    return;
  }
  std::fill(out.begin(), out.end(), Value{});
  for (std::size_t cell = 0; cell < slots_.size(); ++cell) {
    if (slots_[cell] >= first && slots_[cell] - first < out.size()) {
      out[slots_[cell] - first] = value(static_cast<std::uint32_t>(cell));
    }
  }
}

}  // namespace cdp
