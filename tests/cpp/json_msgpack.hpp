// JSON text as msgpack bytes, so that tests write specs as people read them. Trusts its input; tests only.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace cdp::test {

class JsonPacker {
 public:
  static std::vector<std::uint8_t> pack(std::string_view json) {
    JsonPacker packer(json);
    packer.value();
    return std::move(packer.out_);
  }

 private:
  explicit JsonPacker(std::string_view json) : at_(json.data()), end_(at_ + json.size()) {}

  void skip() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == ',' || *at_ == ':')) ++at_;
  }
  void put(unsigned tag, std::uint64_t value, int bytes) {
    out_.push_back(static_cast<std::uint8_t>(tag));
    for (int i = bytes - 1; i >= 0; --i) out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  void value() {
    skip();
    switch (*at_) {
      case '{': return group('}', 0xDF, true);
      case '[': return group(']', 0xDD, false);
      case '"': return string();
      case 't': at_ += 4; return put(0xC3, 0, 0);
      case 'f': at_ += 5; return put(0xC2, 0, 0);
      case 'n': at_ += 4; return put(0xC0, 0, 0);
      default: return number();
    }
  }
  void group(char close, unsigned tag, bool map) {
    ++at_;
    const std::size_t head = out_.size();
    put(tag, 0, 4);
    std::uint32_t count = 0;
    for (skip(); *at_ != close; skip(), ++count) {
      value();
      if (map) value();
    }
    ++at_;
    for (int i = 0; i < 4; ++i)
      out_[head + 1 + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(count >> (24 - 8 * i));
  }
  void string() {
    const char* begin = ++at_;
    while (*at_ != '"') ++at_;
    put(0xDB, static_cast<std::uint64_t>(at_ - begin), 4);
    out_.insert(out_.end(), begin, at_++);
  }
  void number() {
    std::string text;
    while (at_ != end_ && std::string_view("+-0123456789.eE").find(*at_) != std::string_view::npos) text += *at_++;
    if (text.find_first_of(".eE") == std::string::npos) {
      put(0xD3, static_cast<std::uint64_t>(std::strtoll(text.c_str(), nullptr, 10)), 8);
    } else {
      put(0xCB, std::bit_cast<std::uint64_t>(std::strtod(text.c_str(), nullptr)), 8);
    }
  }

  const char* at_;
  const char* end_;
  std::vector<std::uint8_t> out_;
};

inline std::vector<std::uint8_t> pack_json(std::string_view json) { return JsonPacker::pack(json); }

}  // namespace cdp::test
