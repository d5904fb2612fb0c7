// device, consent, suppress, membership, list: one reader for all, led by their FactSpec.
#include <algorithm>
#include <array>
#include <string>

#include "base/utf8.hpp"
#include "codec/fact_spec.hpp"
#include "codec/record_decoders.hpp"

namespace cdp {

namespace {

enum Field : std::uint32_t { kType, kIds, kState, kTime, kFirstSubject };

class FactReader {
 public:
  FactReader(DecodeContext& context, IdentityField& identities, const FactSpec& spec)
      : context_(context), identities_(identities), spec_(spec) {
    for (const std::string_view name : {"type", "ids", "state", "time_ms"}) names_[name_count_++] = name;
    for (const FactTextSpec& subject : spec.subjects) names_[name_count_++] = subject.name;
    for (const FactTextSpec& text : spec.texts) names_[name_count_++] = text.name;
  }

  bool read(std::uint32_t count) {
    std::uint32_t seen = 0;
    const auto on_field = [this](std::uint32_t field) { return read_field(field); };
    const std::span<const std::string_view> names(names_.data(), name_count_);
    if (!read_fields(context_, count, names, seen, on_field) || !check_complete(seen)) return false;
    commit();
    return true;
  }

 private:
  static constexpr std::size_t kNamesMax = kFirstSubject + 2 + kFactTexts;

  bool read_field(std::uint32_t field) {
    if (field == kType) return context_.reader.skip(), true;
    if (field == kIds) return identities_.read("ids", ids_);
    if (field == kState) return read_state();
    if (field == kTime) return read_time(context_, time_);
    const std::uint32_t place = field - kFirstSubject;
    const bool is_subject = place < spec_.subjects.size();
    const std::uint32_t text = is_subject ? place : place - static_cast<std::uint32_t>(spec_.subjects.size());
    const FactTextSpec& wanted = is_subject ? spec_.subjects[text] : spec_.texts[text];
    const Token token = context_.reader.next();
    if (!is_subject && token.wire == Wire::kNil) {
      texts_[text_count_++] = {static_cast<std::uint8_t>(text), {}};
      return true;
    }
    std::uint32_t string = 0;
    if (!read_text(wanted, token, is_subject, string)) return false;
    if (is_subject) {
      record_.subject[text] = string;
    } else {
      texts_[text_count_++] = {static_cast<std::uint8_t>(text), {ValueType::kString, string}};
    }
    return true;
  }

  bool read_text(const FactTextSpec& wanted, const Token& token, bool is_subject, std::uint32_t& string) {
    if (token.wire != Wire::kString) {
      return context_.fail(code::kRecordFieldType, wanted.name, token, is_subject ? "a string" : "a string or null");
    }
    if (token.count == 0 || token.count > wanted.bytes_max) {
      return context_.fail(code::kRecordFieldLength, wanted.name, token,
                           "a string of 1 to " + std::to_string(wanted.bytes_max) + " bytes");
    }
    if (!is_utf8(token.text()))
      return context_.fail(code::kValueStringUtf8, wanted.name, token, "a string of valid UTF-8");
    string = context_.strings.intern_text(token.text());
    return true;
  }

  [[nodiscard]] std::string states() const {
    std::string out = "one of";
    for (const std::string_view state : spec_.states) out.append(out.back() == 'f' ? " " : ", ").append(state);
    return out;
  }

  bool read_state() {
    const Token token = context_.reader.next();
    if (token.wire != Wire::kString) return context_.fail(code::kRecordFieldType, "state", token, states());
    const auto found = std::ranges::find(spec_.states, token.text());
    if (found == spec_.states.end()) return context_.fail(code::kRecordFieldValue, "state", token, states());
    record_.state = static_cast<std::uint8_t>(found - spec_.states.begin());
    return true;
  }

  bool check_complete(std::uint32_t seen) {
    if ((seen >> kIds & 1) == 0) {
      return context_.fail(code::kRecordFieldMissing, "ids", "", "a map of identity kinds to values");
    }
    for (std::uint32_t place = 0; place < spec_.subjects.size(); ++place) {
      const bool is_required = place == 0 || spec_.second_is_required;
      if (!is_required || (seen >> (kFirstSubject + place) & 1) != 0) continue;
      return context_.fail(code::kRecordFieldMissing, spec_.subjects[place].name, "", "a string");
    }
    if (spec_.state_is_required && (seen >> kState & 1) == 0) {
      return context_.fail(code::kRecordFieldMissing, "state", "", states());
    }
    if (ids_.count == 0) return identities_.refuse_none("ids");
    return !context_.is_too_large() || context_.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");
  }

  void commit() {
    FactColumns& columns = context_.batch.facts[static_cast<std::size_t>(spec_.type)];
    record_.time_ms = time_.time_ms(context_.options.received_ms);
    record_.first_identity = static_cast<std::uint32_t>(columns.identity_refs.size());
    record_.identity_count = ids_.count;
    for (std::uint32_t index = 0; index < ids_.count; ++index) {
      columns.identity_refs.push_back(ids_.entries[index].identity);
    }
    const std::span<FactText> texts(texts_.data(), text_count_);
    std::ranges::sort(texts, {}, &FactText::field);
    record_.first_text = static_cast<std::uint32_t>(columns.texts.size());
    for (const FactText& text : texts) {
      // Null is what a text is that does not stay: then it need not be said.
      if (text.value.type != ValueType::kNull || spec_.texts[text.field].stays) columns.texts.push_back(text);
    }
    record_.text_count = static_cast<std::uint32_t>(columns.texts.size()) - record_.first_text;
    columns.records.push_back(record_);
  }

  DecodeContext& context_;
  IdentityField& identities_;
  const FactSpec& spec_;
  std::array<std::string_view, kNamesMax> names_{};
  std::size_t name_count_ = 0;
  IdentityList ids_;
  RecordTime time_;
  FactRecord record_;
  std::array<FactText, kFactTexts> texts_{};
  std::size_t text_count_ = 0;
};

}  // namespace

bool read_fact(DecodeContext& context, IdentityField& identities, FactType type, std::uint32_t count) {
  return FactReader(context, identities, spec_of(type)).read(count);
}

}  // namespace cdp
