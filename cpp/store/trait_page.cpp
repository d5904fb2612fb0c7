#include "store/trait_page.hpp"

#include <algorithm>

namespace cdp {

std::uint32_t TraitPage::lower_bound(std::uint32_t slot) const noexcept {
  const std::uint8_t* first = buffer_.data() + slots();
  return static_cast<std::uint32_t>(std::lower_bound(first, first + count_, slot) - first);
}

std::optional<std::uint32_t> TraitPage::find(std::uint32_t slot) const noexcept {
  if (dense()) return slot;
  const std::uint32_t cell = lower_bound(slot);
  if (cell == count_ || this->slot(cell) != slot) return std::nullopt;
  return cell;
}

std::uint32_t TraitPage::make(std::uint32_t slot) {
  if (const std::optional<std::uint32_t> known = find(slot)) return *known;
  if (count_ == kSparseMax) {
    reshape(kOrigins, wide_);
    return slot;
  }
  if (count_ == capacity_) reshape(capacity_ == 0 ? 4 : capacity_ * 2u, wide_);
  const std::uint32_t cell = lower_bound(slot);
  const auto shift = [&](std::size_t array, std::size_t size) {
    std::uint8_t* at = buffer_.data() + array + cell * size;
    std::memmove(at + size, at, (count_ - cell) * size);
    std::memset(at, 0, size);
  };
  shift(0, payload_bytes());
  shift(newests(), 4);
  shift(types(), 1);
  shift(slots(), 1);
  ++count_;
  buffer_[slots() + cell] = static_cast<std::uint8_t>(slot);
  return cell;
}

void TraitPage::reshape(std::uint32_t capacity, bool wide) {
  TraitPage next;
  next.capacity_ = static_cast<std::uint16_t>(capacity);
  next.wide_ = wide;
  next.buffer_.resize(next.slots() + (next.dense() ? 0 : capacity));
  next.count_ = next.dense() ? std::uint16_t{0} : count_;
  const std::uint32_t cells = dense() ? kOrigins : count_;
  for (std::uint32_t cell = 0; cell < cells; ++cell) {
    const std::uint32_t to = next.dense() && !dense() ? slot(cell) : cell;
    const Value value = this->value(cell);
    next.buffer_[next.types() + to] = static_cast<std::uint8_t>(value.type);
    if (wide) {
      next.store(to * std::size_t{8}, value.bits);
    } else {
      next.store(to * std::size_t{4}, static_cast<std::uint32_t>(value.bits));
    }
    next.set_newest(to, newest(cell));
    if (!next.dense()) next.buffer_[next.slots() + to] = static_cast<std::uint8_t>(slot(cell));
  }
  *this = std::move(next);
}

void TraitPage::set_value(std::uint32_t cell, const Value& value) {
  const auto narrow = static_cast<std::uint32_t>(value.bits);
  if (!wide_ && widen(value.type, narrow) != value.bits) reshape(capacity_, true);
  buffer_[types() + cell] = static_cast<std::uint8_t>(value.type);
  if (wide_) {
    store(cell * std::size_t{8}, value.bits);
  } else {
    store(cell * std::size_t{4}, narrow);
  }
}

void TraitPage::values(std::uint32_t first, std::span<Value> out) const noexcept {
  if (dense()) {
    for (std::size_t index = 0; index < out.size(); ++index) {
      out[index] = value(first + static_cast<std::uint32_t>(index));
    }
    return;
  }
  std::fill(out.begin(), out.end(), Value{});
  for (std::uint32_t cell = 0; cell < count_; ++cell) {
    if (slot(cell) >= first && slot(cell) - first < out.size()) out[slot(cell) - first] = value(cell);
  }
}

void TraitPage::prefetch(std::uint32_t slot) const noexcept {
  const std::uint32_t cell = dense() ? slot : 0;
  __builtin_prefetch(buffer_.data() + cell * payload_bytes());
  __builtin_prefetch(buffer_.data() + newests() + cell * std::size_t{4});
  __builtin_prefetch(buffer_.data() + types() + cell);
}

}  // namespace cdp
