#include "query/kinds/member_operand.hpp"

#include <algorithm>
#include <set>

#include "column/dictionary.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/moment.hpp"
#include "query/named_keys.hpp"
#include "query/scan_plan.hpp"
#include "store/fact_store.hpp"
#include "store/group_store.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"

namespace cdp {
namespace {

constexpr std::size_t kSegmentsMax = 32;

MemberOperandSpec::Segment parse_segment(const Node& node, const Path& path, const CalendarSpec& calendar,
                                         std::size_t index) {
  if (node.type == Node::Type::kString) {
    auto reference = std::make_shared<PredicateSpec>();
    reference->type = PredicateSpec::Type::kSegment;
    reference->segment = parse_key(node, path);
    reference->segment_path = path.text();
    return {reference->segment, reference};
  }
  Fields fields(node, path);
  MemberOperandSpec::Segment out;
  const Path name_path = fields.path("name"), where_path = fields.path("where");
  const Node* name = fields.take("name");
  if (name != nullptr) {
    out.name = parse_key(*name, name_path);
  } else {  // A .. Z, then A2 ..
    out.name = static_cast<char>('A' + index % 26);
    if (index >= 26) out.name += '2';
  }
  out.where = parse_predicate(fields.require("where", "a predicate"), where_path, calendar);
  fields.done();
  return out;
}

void add_once(const Value& value, std::vector<Value>& out) {
  if (std::find(out.begin(), out.end(), value) == out.end()) out.push_back(value);
}

}  // namespace

std::shared_ptr<const MemberOperandSpec> take_member_operand(Fields& fields, const CalendarSpec& calendar,
                                                             std::string& title) {
  auto out = std::make_shared<MemberOperandSpec>();
  const Path segments_path = fields.path("segments"), group_path = fields.path("group");
  const Path trait_path = fields.path("trait"), name_path = fields.path("name");
  if (const Node* segments = fields.take("segments")) {
    const std::vector<Node>& items = read_array(*segments, segments_path, 1, kSegmentsMax);
    std::set<std::string> names{"other"};  // what a limit leaves
    for (std::size_t i = 0; i < items.size(); ++i) {
      out->segments.push_back(parse_segment(items[i], segments_path.item(i), calendar, i));
      if (!names.insert(out->segments.back().name).second)
        fail_invalid(segments_path.item(i), "two rows of one name (\"other\" is that of a limit's rest)");
    }
    title = "segment";
  } else if (const Node* group = fields.take("group")) {
    out->group = parse_key(*group, group_path);
    title = out->group;
    if (const Node* trait = fields.take("trait")) {
      out->trait = parse_key(*trait, trait_path);
      title += "." + out->trait;
    }
  } else {
    return nullptr;
  }
  if (const Node* name = fields.take("name")) title = parse_key(*name, name_path);
  return out;
}

MemberOperand::MemberOperand(const MemberOperandSpec& spec, const Version& version, const Moment& at)
    : by_trait_(!spec.trait.empty()) {
  for (const MemberOperandSpec::Segment& segment : spec.segments) {
    names_.push_back(segment.name);
    segments_.emplace_back(*segment.where, version, at);
  }
  if (of_segments()) return;
  kind_ = version.strings->find(spec.group);
  if (by_trait_) trait_ = find_trait(spec.trait, version, at);
}

void MemberOperand::add_values(const Version& version, Origin home, std::int64_t now_ms,
                               std::vector<Value>& out) const {
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (evaluate_profile(version, segments_[i], home, now_ms).value) out.push_back(number_of(i));
  }
  if (!of_segments()) add_groups(version, home, now_ms, out);
  if (out.empty()) out.emplace_back();
}

void MemberOperand::add_groups(const Version& version, Origin home, std::int64_t now_ms,
                               std::vector<Value>& out) const {
  if (!kind_) return;
  const FactView& memberships = *version.facts[static_cast<std::size_t>(FactType::kMembership)];
  const std::span<const Origin> members = version.links->members(home);
  if (std::ranges::none_of(members, [&](Origin member) { return memberships.has(member); })) return;
  std::int64_t valid_until_ms = INT64_MAX;
  for (const Fact& membership : memberships.facts(members, now_ms, &valid_until_ms)) {
    const Origin group{first_of(membership.subject)};
    if (membership.state != fact::kJoined || version.groups->kind(group) != *kind_) continue;
    if (!by_trait_) {
      add_once(Value{ValueType::kString, version.groups->id(group)}, out);
    } else if (trait_) {
      add_once(version.group_traits->trait_at(group, *trait_, now_ms, version.groups->links()).value, out);
    } else {
      add_once(Value{}, out);
    }
  }
}

MemberOperand::OfTask::OfTask(const MemberOperand& operand, const QueryContext& context, const Task& task,
                              Scratch& scratch)
    : operand_(operand), in_(operand.segments_.size()) {
  if (!operand.of_segments()) return;
  const std::span<const std::uint64_t> candidates =
      context.where != nullptr ? context.where->words(task) : task.plan->everyone(*context.version).words(task);
  for (std::size_t i = 0; i < in_.size(); ++i) {
    in_[i].fill(0);
    operand.segments_[i].evaluate_task(task, context.now_ms, scratch, candidates, in_[i]);
  }
}

void MemberOperand::OfTask::add_values(const QueryContext& context, const Task& task, std::uint32_t profile,
                                       std::vector<Value>& out) const {
  if (!operand_.of_segments()) return operand_.add_values(*context.version, task.origin(profile), context.now_ms, out);
  for (std::size_t i = 0; i < in_.size(); ++i) {
    if (((in_[i][profile >> 6] >> (profile & 63)) & 1) != 0) out.push_back(number_of(i));
  }
  if (out.empty()) out.emplace_back();
}

void MemberOperand::push(TableColumn& column, const Value& value, const Dictionary& strings) const {
  of_segments() ? column.push_string(names_[value.bits]) : push_value(column, value, strings);
}

}  // namespace cdp
