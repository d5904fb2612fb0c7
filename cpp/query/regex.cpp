#include "query/regex.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace cdp {
namespace {

constexpr char32_t kEndOfText = 0xFFFF'FFFF;

// The code point at `at`, which moves behind it. REQUIRES: UTF-8, at < size.
char32_t next_letter(std::string_view text, std::size_t& at) noexcept {
  const auto byte = [&](std::size_t index) {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0u;
  };
  const char32_t first = byte(at++);
  if (first < 0x80) return first;
  const int more = first < 0xE0 ? 1 : (first < 0xF0 ? 2 : 3);
  char32_t letter = first & (0x3Fu >> more);
  for (int i = 0; i < more; ++i) letter = (letter << 6) | (byte(at++) & 0x3Fu);
  return letter;
}

char32_t lower(char32_t letter) noexcept { return letter >= 'A' && letter <= 'Z' ? letter + 32 : letter; }
char32_t upper(char32_t letter) noexcept { return letter >= 'a' && letter <= 'z' ? letter - 32 : letter; }
bool is_digit(char32_t letter) noexcept { return letter >= '0' && letter <= '9'; }
bool is_word(char32_t letter) noexcept {
  return is_digit(letter) || (lower(letter) >= 'a' && lower(letter) <= 'z') || letter == '_';
}
bool is_space(char32_t letter) noexcept { return letter == ' ' || (letter >= '\t' && letter <= '\r'); }
bool is_punctuation(char32_t letter) noexcept {
  return letter > ' ' && letter < 0x7F && (!is_word(letter) || letter == '_');
}

}  // namespace

bool Regex::Set::has(char32_t letter) const noexcept {
  bool found = false;
  if (letter < 128) {
    found = ((ascii[letter >> 6] >> (letter & 63)) & 1) != 0;
  } else {
    found =
        std::ranges::any_of(ranges, [&](const auto& range) { return letter >= range.first && letter <= range.second; });
  }
  return found != negated;
}

// Expression → states, from the right: each part is built with the state that comes behind it.
class RegexParser {
 public:
  RegexParser(std::string_view expression, Regex& out, const Path& path) : text_(expression), out_(out), path_(path) {}

  void parse() {
    const std::uint32_t root = parse_alternatives(0);
    if (at_ != text_.size()) fail("a closing bracket without its opening one");
    const std::uint32_t match = add({Regex::Kind::kMatch});
    out_.start_ = build(root, match);
  }

 private:
  // The expression as a tree.
  struct Part {
    enum class Type : std::uint8_t { kEmpty, kSet, kAssert, kSequence, kEither, kRepeat };
    Type type{};
    Regex::Kind assertion{};
    std::uint32_t set = 0;
    std::uint32_t least = 0, most = 0;      // kRepeat; most = kNoEnd: any number
    std::vector<std::uint32_t> children{};  // indexes of parts_
  };
  static constexpr std::uint32_t kNoEnd = UINT32_MAX;

  [[noreturn]] void fail(std::string_view what) const {
    fail_invalid(path_, "a regular expression with a fault at byte " + std::to_string(at_) + ": " + std::string(what));
  }
  [[nodiscard]] bool has(char letter) const noexcept { return at_ < text_.size() && text_[at_] == letter; }
  bool take(char letter) noexcept {
    if (!has(letter)) return false;
    ++at_;
    return true;
  }
  std::uint32_t make(Part&& part) {
    parts_.push_back(std::move(part));
    return static_cast<std::uint32_t>(parts_.size() - 1);
  }

  std::uint32_t parse_alternatives(std::size_t depth) {
    if (depth > limits::kRegexDepth) fail("groups nested over 64 levels");
    Part either;
    either.type = Part::Type::kEither;
    either.children.push_back(parse_sequence(depth));
    while (take('|')) either.children.push_back(parse_sequence(depth));
    return either.children.size() == 1 ? either.children[0] : make(std::move(either));
  }

  std::uint32_t parse_sequence(std::size_t depth) {
    Part sequence;
    sequence.type = Part::Type::kSequence;
    while (at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')') {
      const std::uint32_t part = parse_one(depth);
      sequence.children.push_back(parse_repeats(part));
    }
    return make(std::move(sequence));
  }

  std::uint32_t parse_one(std::size_t depth) {
    switch (text_[at_]) {
      case '(': {
        ++at_;
        if (take('?') && !take(':')) fail("of groups only ( ) and (?: ) are known");
        const std::uint32_t inner = parse_alternatives(depth + 1);
        if (!take(')')) fail("a group that does not end");
        return inner;
      }
      case '[': return parse_class();
      case '\\': return parse_escape();
      case '^': ++at_; return assertion(Regex::Kind::kStart);
      case '$': ++at_; return assertion(Regex::Kind::kEnd);
      case '.': {
        ++at_;
        Regex::Set set;
        add_letter(set, '\n');
        set.negated = true;
        return set_part(std::move(set));
      }
      case '*':
      case '+':
      case '?': fail("a repetition of nothing");
      case '{':
      case '}':
      case ']': fail("a bracket that means itself needs a backslash before it");
      default: {
        Regex::Set set;
        add_letter(set, next_letter(text_, at_));
        return set_part(std::move(set));
      }
    }
  }

  std::uint32_t assertion(Regex::Kind kind) {
    Part part;
    part.type = Part::Type::kAssert;
    part.assertion = kind;
    return make(std::move(part));
  }
  std::uint32_t set_part(Regex::Set&& set) {
    out_.sets_.push_back(std::move(set));
    Part part;
    part.type = Part::Type::kSet;
    part.set = static_cast<std::uint32_t>(out_.sets_.size() - 1);
    return make(std::move(part));
  }

  static void add_range(Regex::Set& set, char32_t low, char32_t high) {
    for (char32_t letter = low; letter <= high && letter < 128; ++letter) {
      set.ascii[letter >> 6] |= std::uint64_t{1} << (letter & 63);
    }
    if (high >= 128) set.ranges.emplace_back(std::max<char32_t>(low, 128), high);
  }
  static void add_letter(Regex::Set& set, char32_t letter) { add_range(set, letter, letter); }
  // \d \w \s and their opposites.
  static bool add_shorthand(Regex::Set& set, char name) {
    const char kind = static_cast<char>(lower(static_cast<unsigned char>(name)));
    if (kind != 'd' && kind != 'w' && kind != 's') return false;
    const bool opposite = kind != name;
    for (char32_t letter = 0; letter < 128; ++letter) {
      const bool in = kind == 'd' ? is_digit(letter) : (kind == 'w' ? is_word(letter) : is_space(letter));
      if (in != opposite) add_letter(set, letter);
    }
    if (opposite) add_range(set, 128, 0x10'FFFF);
    return true;
  }

  std::uint32_t parse_escape() {
    ++at_;
    if (at_ == text_.size()) fail("a backslash at the end");
    if (take('b')) return assertion(Regex::Kind::kWordBorder);
    Regex::Set set;
    if (add_shorthand(set, text_[at_])) {
      ++at_;
    } else {
      add_letter(set, parse_escaped_letter());
    }
    return set_part(std::move(set));
  }

  // Behind the backslash.
  char32_t parse_escaped_letter() {
    if (at_ == text_.size()) fail("a backslash at the end");
    const char name = text_[at_];
    constexpr std::string_view kNames = "tnrfv", kMeant = "\t\n\r\f\v";
    if (const std::size_t found = kNames.find(name); found != std::string_view::npos) {
      ++at_;
      return static_cast<unsigned char>(kMeant[found]);
    }
    if (name == 'x') return parse_hex(2);
    if (name == 'u') return parse_hex(4);
    if (!is_punctuation(static_cast<unsigned char>(name))) fail("an escape that is not known");
    ++at_;
    return static_cast<unsigned char>(name);
  }
  char32_t parse_hex(std::size_t digits) {
    ++at_;
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      const char32_t digit = at_ < text_.size() ? lower(static_cast<unsigned char>(text_[at_])) : 0;
      if (!is_digit(digit) && (digit < 'a' || digit > 'f')) fail("hexadecimal digits are missing");
      value = value * 16 + (is_digit(digit) ? digit - '0' : digit - 'a' + 10);
    }
    return value;
  }

  std::uint32_t parse_class() {
    ++at_;
    Regex::Set set;
    set.negated = take('^');
    for (bool first = true; !has(']') || first; first = false) {
      if (at_ == text_.size() || has(']')) fail(first ? "a class of nothing" : "a class that does not end");
      parse_class_item(set, first);
    }
    ++at_;
    return set_part(std::move(set));
  }

  void parse_class_item(Regex::Set& set, bool first) {
    if (has('[')) fail("a bracket that means itself needs a backslash before it");
    if (has('-')) {
      const bool last = at_ + 1 < text_.size() && text_[at_ + 1] == ']';
      if (!first && !last) fail("a hyphen that means itself stands first or last");
      ++at_;
      return add_letter(set, '-');
    }
    if (has('\\') && at_ + 1 < text_.size() && add_shorthand(set, text_[at_ + 1])) {
      at_ += 2;
      return;
    }
    const char32_t low = parse_class_letter();
    if (!has('-') || at_ + 1 >= text_.size() || text_[at_ + 1] == ']') return add_letter(set, low);
    ++at_;
    if (has('-') || has('[')) fail("a range that ends with a bracket or hyphen needs a backslash before it");
    const char32_t high = parse_class_letter();
    if (high < low) fail("a range that goes backwards");
    add_range(set, low, high);
  }
  char32_t parse_class_letter() {
    if (at_ == text_.size()) fail("a class that does not end");
    if (!take('\\')) return next_letter(text_, at_);
    return parse_escaped_letter();
  }

  std::uint32_t parse_repeats(std::uint32_t part) {
    std::uint32_t least = 0, most = kNoEnd;
    if (take('*')) {
    } else if (take('+')) {
      least = 1;
    } else if (take('?')) {
      most = 1;
    } else if (take('{')) {
      least = parse_number();
      most = least;
      if (take(',')) most = has('}') ? kNoEnd : parse_number();
      if (!take('}')) fail("a repetition that does not end");
      if (most < least) fail("a repetition that goes backwards");
    } else {
      return part;
    }
    if (parts_[part].type == Part::Type::kAssert) fail("a repetition of nothing");
    take('?');  // the lazy form: whether anything matches does not depend on it
    if (has('*') || has('+') || has('?') || has('{')) fail("a repetition of a repetition");
    Part repeat;
    repeat.type = Part::Type::kRepeat;
    repeat.least = least;
    repeat.most = most;
    repeat.children.push_back(part);
    return make(std::move(repeat));
  }
  std::uint32_t parse_number() {
    std::uint32_t value = 0;
    const std::size_t first = at_;
    while (at_ < text_.size() && is_digit(static_cast<unsigned char>(text_[at_]))) {
      value = value * 10 + static_cast<std::uint32_t>(text_[at_++] - '0');
      if (value > limits::kRegexRepeats) fail("a repetition of over 1,000 times");
    }
    if (at_ == first) fail("a number is missing");
    return value;
  }

  std::uint32_t add(Regex::State state) {
    if (out_.states_.size() >= limits::kRegexStates) fail("over 5,000 states: too many or too large repetitions");
    out_.states_.push_back(state);
    return static_cast<std::uint32_t>(out_.states_.size() - 1);
  }

  // The state that begins the part, `next` behind it.
  std::uint32_t build(std::uint32_t index, std::uint32_t next) {
    if (++built_ > 20 * limits::kRegexStates) fail("too many or too large repetitions");
    const Part& part = parts_[index];
    switch (part.type) {
      case Part::Type::kEmpty: return next;
      case Part::Type::kSet: return add({Regex::Kind::kSet, next, 0, part.set});
      case Part::Type::kAssert: return add({part.assertion, next});
      case Part::Type::kSequence:
        for (auto child = part.children.rbegin(); child != part.children.rend(); ++child) next = build(*child, next);
        return next;
      case Part::Type::kEither: {
        std::uint32_t first = build(part.children.back(), next);
        for (std::size_t i = part.children.size() - 1; i-- > 0;) {
          const std::uint32_t one = build(part.children[i], next);
          first = add({Regex::Kind::kSplit, one, first});
        }
        return first;
      }
      case Part::Type::kRepeat: return build_repeat(part, next);
    }
    return next;
  }
  std::uint32_t build_repeat(const Part& part, std::uint32_t next) {
    const std::uint32_t child = part.children[0];
    if (part.most == kNoEnd) {
      const std::uint32_t loop = add({Regex::Kind::kSplit, 0, next});
      const std::uint32_t body = build(child, loop);
      out_.states_[loop].next = body;
      next = loop;
    } else {
      const std::uint32_t behind = next;
      for (std::uint32_t i = part.least; i < part.most; ++i) {
        const std::uint32_t body = build(child, next);
        next = add({Regex::Kind::kSplit, body, behind});
      }
    }
    for (std::uint32_t i = 0; i < part.least; ++i) next = build(child, next);
    return next;
  }

  std::string_view text_;
  Regex& out_;
  const Path& path_;
  std::size_t at_ = 0;
  std::vector<Part> parts_;
  std::size_t built_ = 0;
};

// The walk over one text: the set of states before each character.
class RegexSearch {
 public:
  RegexSearch(const Regex& regex, std::string_view text) : regex_(regex), text_(text), current_(regex.states_.size()) {}

  bool run() {
    std::size_t at = 0;
    char32_t before = kEndOfText;
    while (true) {
      const bool at_end = at == text_.size();
      std::size_t behind = at;
      const char32_t letter = at_end ? kEndOfText : next_letter(text_, behind);
      if (reach(regex_.start_, before, letter, at == 0)) return true;
      for (const std::uint32_t state : pending_) {
        if (reach(state, before, letter, at == 0)) return true;
      }
      if (at_end) return false;
      pending_.clear();
      for (const std::uint32_t state : current_.list) {
        const Regex::State& set = regex_.states_[state];
        if (has(regex_.sets_[set.set], letter)) pending_.push_back(set.next);
      }
      current_.clear();
      before = letter;
      at = behind;
    }
  }

 private:
  struct Marks {
    explicit Marks(std::size_t size) : seen(size) {}
    std::vector<std::uint32_t> seen;  // stamp of the position
    std::vector<std::uint32_t> list;  // states that wait for a character
    std::uint32_t stamp = 1;
    void clear() {
      list.clear();
      ++stamp;
    }
  };

  [[nodiscard]] bool has(const Regex::Set& set, char32_t letter) const noexcept {
    if (!regex_.ignore_case_) return set.has(letter);
    const bool lowered = set.has(lower(letter)), raised = set.has(upper(letter));
    return set.negated ? lowered && raised : lowered || raised;
  }

  // Adds what can be reached from a state without a character; true when that is the end.
  bool reach(std::uint32_t first, char32_t before, char32_t letter, bool at_start) {
    stack_.push_back(first);
    while (!stack_.empty()) {
      const std::uint32_t index = stack_.back();
      stack_.pop_back();
      if (current_.seen[index] == current_.stamp) continue;
      current_.seen[index] = current_.stamp;
      const Regex::State& state = regex_.states_[index];
      switch (state.kind) {
        case Regex::Kind::kMatch: stack_.clear(); return true;
        case Regex::Kind::kSet: current_.list.push_back(index); break;
        case Regex::Kind::kSplit: stack_.push_back(state.other), stack_.push_back(state.next); break;
        case Regex::Kind::kStart:
          if (at_start) stack_.push_back(state.next);
          break;
        case Regex::Kind::kEnd:
          if (letter == kEndOfText) stack_.push_back(state.next);
          break;
        case Regex::Kind::kWordBorder:
          if (is_word(before) != is_word(letter)) stack_.push_back(state.next);
          break;
      }
    }
    return false;
  }

  const Regex& regex_;
  std::string_view text_;
  Marks current_;
  std::vector<std::uint32_t> pending_;
  std::vector<std::uint32_t> stack_;
};

Regex::Regex(std::string_view expression, bool ignore_case, const Path& path) : ignore_case_(ignore_case) {
  if (expression.size() > limits::kRegexBytes) fail_invalid(path, "a regular expression of over 1,024 bytes");
  RegexParser(expression, *this, path).parse();
  path.spend(states_.size() * sizeof(State) + sets_.size() * sizeof(Set));
}

bool Regex::search(std::string_view text) const { return RegexSearch(*this, text).run(); }

}  // namespace cdp
