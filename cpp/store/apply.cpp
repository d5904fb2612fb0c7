#include "store/apply.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/error.hpp"
#include "codec/normalise.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::size_t kSweepAtOnce = 1'000;  // expired event ids dropped a batch: a few microseconds
constexpr std::size_t kPrefetchAhead = 16;
constexpr const char* kKeysExpected = "at most 65,535 keys of properties and traits in a store";

bool is_unique_kind(std::string_view kind) {
  return std::ranges::any_of(default_identity_kinds(),
                             [&](const IdentityKind& known) { return known.unique && known.kind == kind; });
}

}  // namespace

// Everything about one batch: its identities looked up once, its strings interned once.
class Applier::Run {
 public:
  Run(Applier& state, const std::shared_ptr<const CanonicalBatch>& batch, std::vector<Origin>* touched)
      : state_(state), batch_(*batch), shared_batch_(batch), touched_(touched) {}

  ApplyResult take() {
    find_identities();
    bind_shapes();
    bind_operations();
    for (const RecordRun& run : batch_.runs) take_run(run);
    touch_members();
    finish_tail();
    result_.last_sequence = state_.sequence_;
    return std::move(result_);
  }

 private:
  // ---- what the batch's own indexes mean in the store

  void find_identities() {
    const std::size_t count = batch_.identities.size();
    keys_.reserve(count);
    for (const BatchIdentity& identity : batch_.identities) {
      keys_.push_back({batch_.strings.at(identity.kind), batch_.strings.at(identity.value), identity.hash});
    }
    origin_of_.resize(count, kNoOrigin);
    state_.identities_.find(keys_, origin_of_);
  }

  void bind_shapes() {
    const EventColumns& events = batch_.events;
    if (events.size() == 0) return;
    tail_ = std::make_shared<TailBatch>();
    tail_->batch = shared_batch_;
    tail_->first_order = state_.order_;
    tail_->shape_name.reserve(events.shapes.size());
    for (const Shape& shape : events.shapes) {
      const std::string_view name = batch_.strings.at(shape.name);
      const bool is_blocked = state_.schema_.any_blocked() && state_.schema_.is_blocked(name);
      is_blocked_.push_back(is_blocked ? 1 : 0);
      tail_->shape_name.push_back(is_blocked ? kNone : name_of(name));
    }
    tail_->field_key.reserve(events.fields.size());
    for (const ShapeField& field : events.fields) {
      tail_->field_key.push_back(key_of(batch_.strings.at(field.key)));
    }
    is_refused_.reserve(events.shapes.size());
    for (std::size_t shape = 0; shape < events.shapes.size(); ++shape) {
      is_refused_.push_back(tail_->shape_name[shape] == kNone || missing_key(events.shapes[shape]) != kNone);
    }
    intern_values();
    tail_->event.reserve(events.size());
    tail_->origin.reserve(events.size());
  }

  // kNone when the store has no room for another event name.
  std::uint32_t name_of(std::string_view name) {
    if (state_.names_.size() < limits::kNamesMax) return state_.names_.intern(name);
    return state_.names_.find(name).value_or(kNone);
  }

  // kNone when the store has no room for another key.
  std::uint32_t key_of(std::string_view key) {
    if (state_.keys_.size() < limits::kKeysMax) return state_.keys_.intern(key);
    return state_.keys_.find(key).value_or(kNone);
  }

  // The field of the shape whose key the store has no room for, kNone when there is none.
  [[nodiscard]] std::uint32_t missing_key(const Shape& shape) const {
    for (std::uint32_t field = shape.first_field; field < shape.first_field + shape.field_count; ++field) {
      if (tail_->field_key[field] == kNone) return field;
    }
    return kNone;
  }

  // The strings that events hold as values, each once.
  void intern_values() {
    const EventColumns& events = batch_.events;
    tail_->string_id.assign(batch_.strings.size(), kNone);
    std::vector<std::uint32_t> wanted;
    std::vector<std::uint32_t> places;  // of dictionary-typed fields, per shape
    std::vector<std::uint32_t> first_place;
    for (const Shape& shape : events.shapes) {
      first_place.push_back(static_cast<std::uint32_t>(places.size()));
      for (std::uint32_t field = 0; field < shape.field_count; ++field) {
        if (is_dictionary_type(events.fields[shape.first_field + field].type)) places.push_back(field);
      }
    }
    first_place.push_back(static_cast<std::uint32_t>(places.size()));
    constexpr std::uint32_t kSeen = 0;  // any mark: overwritten below
    for (std::uint32_t event = 0; event < events.size(); ++event) {
      const std::uint32_t shape = events.shape[event];
      for (std::uint32_t at = first_place[shape]; at < first_place[shape + 1]; ++at) {
        const auto string = static_cast<std::uint32_t>(events.values[events.first_value[event] + places[at]]);
        if (tail_->string_id[string] == kNone) {
          tail_->string_id[string] = kSeen;
          wanted.push_back(string);
        }
      }
    }
    std::vector<std::string_view> texts;
    texts.reserve(wanted.size());
    for (const std::uint32_t string : wanted) texts.push_back(batch_.strings.at(string));
    std::vector<std::uint32_t> ids(wanted.size());
    state_.strings_.intern_all(texts, ids);
    for (std::size_t at = 0; at < wanted.size(); ++at) tail_->string_id[wanted[at]] = ids[at];
  }

  // Keys and strings of all trait operations, each text of the batch once.
  void bind_operations() {
    if (batch_.trait_operations.empty() && batch_.group_operations.empty()) return;
    operation_key_.assign(batch_.strings.size(), kNone);
    operation_string_.assign(batch_.strings.size(), kNone);
    bind_operations(batch_.trait_operations);
    bind_operations(batch_.group_operations);
  }

  void bind_operations(std::span<const TraitOperation> operations) {
    for (const TraitOperation& operation : operations) {
      std::uint32_t& key = operation_key_[operation.key];
      if (key == kNone) key = key_of(batch_.strings.at(operation.key));
      if (!is_dictionary_type(operation.value.type)) continue;
      const auto string = static_cast<std::uint32_t>(operation.value.bits);
      std::uint32_t& id = operation_string_[string];
      if (id == kNone) id = state_.strings_.intern(batch_.strings.at(string));
    }
  }

  [[nodiscard]] Value stored(const Value& value) const {
    if (!is_dictionary_type(value.type)) return value;
    return {value.type, operation_string_[static_cast<std::uint32_t>(value.bits)]};
  }

  // ---- records

  void take_run(const RecordRun& run) {
    if (run.type == RecordType::kEvent) {
      take_events(run);
    } else {
      for (std::uint32_t at = run.first; at < run.first + run.count; ++at) {
        ++state_.sequence_;
        if (run.type == RecordType::kTraits) prefetch_traits(at, run.first + run.count);
        take_record(run.type, at);
        ++record_;
      }
    }
  }

  // What later trait records will touch, in three steps (ProfileStore::prefetch).
  void prefetch_traits(std::uint32_t at, std::uint32_t end) const {
    for (int step = 0; step < 3; ++step) {
      const std::uint32_t ahead = at + 12 - 4 * static_cast<std::uint32_t>(step);
      if (ahead >= end) continue;
      const TraitsRecord& record = batch_.traits[ahead];
      const Origin origin = origin_of_[batch_.trait_identity_refs[record.first_identity]];
      if (origin == kNoOrigin) continue;
      if (step == 0) state_.profiles_.prefetch(origin);
      for (std::uint32_t next = 0; next < record.operation_count; ++next) {
        const std::uint32_t key = batch_.trait_operations[record.first_operation + next].key;
        state_.profiles_.prefetch(origin, KeyId{operation_key_[key]}, step);
      }
    }
  }

  void take_record(RecordType type, std::uint32_t at) {
    switch (type) {
      case RecordType::kTraits: return take_traits(batch_.traits[at]);
      case RecordType::kIdentify: return take_identify(batch_.identifies[at]);
      case RecordType::kMerge: return take_merge(batch_.merges[at]);
      case RecordType::kUnmerge: return take_unmerge(batch_.unmerges[at]);
      case RecordType::kGroup: return take_group(batch_.groups[at]);
      default: break;
    }
    const std::optional<FactType> fact = fact_type(type);
    if (!fact) throw Error(Family::kInternal, code::kInternal, "a batch holds a record that apply does not know");
    take_fact(*fact, at);
  }

  void take_events(const RecordRun& run) {
    const EventColumns& events = batch_.events;
    // Where someone is suppressed, an event may decide whether the next one is kept: then ids are looked at one by one.
    const bool one_by_one = state_.facts_[static_cast<std::size_t>(FactType::kSuppress)].size() != 0;
    const std::vector<std::uint8_t> fresh = one_by_one ? std::vector<std::uint8_t>() : look_at_event_ids(run);
    const std::uint32_t end = run.first + run.count;
    for (std::uint32_t event = run.first; event < end; ++event, ++record_) {
      if (const std::uint32_t ahead = event + kPrefetchAhead; ahead < end) prefetch(ahead);
      if (is_refused_[events.shape[event]] != 0) {
        refuse_shape(events.shape[event]);
        continue;
      }
      if (one_by_one && is_dropped(event)) {
        refuse_suppressed();
        continue;
      }
      if (one_by_one ? !is_fresh(event) : !fresh.empty() && fresh[event - run.first] == 0) {
        ++result_.duplicates;
        continue;
      }
      const std::uint32_t first = events.first_identity[event];
      const std::span refs(events.identity_refs.data() + first, events.first_identity[event + 1] - first);
      const Origin origin = origin_for(refs);
      state_.profiles_.touch(origin, events.time_ms[event]);
      tail_->event.push_back(event);
      tail_->origin.push_back(origin);
      if (touched_ != nullptr) touched_->push_back(origin);
      ++result_.accepted;
    }
    state_.sequence_ += run.count;
  }

  // Blocked, or over a bound of names or keys.
  void refuse_shape(std::uint32_t number) {
    const Shape& shape = batch_.events.shapes[number];
    if (is_blocked_[number] != 0) {
      const std::string_view name = batch_.strings.at(shape.name);
      state_.schema_.count_blocked(name);
      return reject(code::kNameBlocked, "name", name, "a name that is not blocked in this store");
    }
    if (tail_->shape_name[number] == kNone) {
      return reject(code::kLimitNames, "name", batch_.strings.at(shape.name), "at most 65,535 event names in a store");
    }
    const std::string_view key = batch_.strings.at(batch_.events.fields[missing_key(shape)].key);
    reject(code::kLimitKeys, "properties", key, kKeysExpected);
  }

  void prefetch(std::uint32_t event) const {
    const Origin origin = origin_of_[batch_.events.identity_refs[batch_.events.first_identity[event]]];
    if (origin != kNoOrigin) state_.profiles_.prefetch(origin);
  }

  // The profile of the origin is suppressed at the received time.
  [[nodiscard]] bool is_suppressed(Origin origin) {
    FactStore& suppressions = state_.facts_[static_cast<std::size_t>(FactType::kSuppress)];
    if (suppressions.size() == 0 || origin == kNoOrigin) return false;
    const Origin home = state_.links_.home(origin);
    return suppressions.state_at(state_.links_.members(home), 0, state_.received_ms_).state == fact::kSuppressed;
  }

  void refuse_suppressed() {
    reject(code::kProfileSuppressed, "ids", "", "a profile that is not suppressed, or a suppress record that lifts it");
  }

  // The event belongs to a suppressed profile. The server's own are kept: what it did is so.
  [[nodiscard]] bool is_dropped(std::uint32_t event) {
    const EventColumns& events = batch_.events;
    return is_suppressed(origin_of_[events.identity_refs[events.first_identity[event]]]) &&
           !is_system_name(batch_.strings.at(events.shapes[events.shape[event]].name));
  }

  [[nodiscard]] bool is_fresh(std::uint32_t event) {
    if (batch_.events.event_id.empty()) return true;
    std::uint8_t fresh = 1;
    state_.event_ids_.insert({&batch_.events.event_id[event], 1}, state_.day_, {&fresh, 1});
    return fresh != 0;
  }

  // Fresh (1) or duplicate (0) of each event of the run; empty when no event has an id. An event that will be refused
  // leaves no trace in the window.
  std::vector<std::uint8_t> look_at_event_ids(const RecordRun& run) {
    const EventColumns& events = batch_.events;
    if (events.event_id.empty()) return {};
    std::vector<EventKey> keys(events.event_id.begin() + run.first, events.event_id.begin() + run.first + run.count);
    for (std::uint32_t at = 0; at < run.count; ++at) {
      if (is_refused_[events.shape[run.first + at]] != 0) keys[at] = {};
    }
    std::vector<std::uint8_t> fresh(run.count);
    state_.event_ids_.insert(keys, state_.day_, fresh);
    return fresh;
  }

  // The origin of the highest-ranked identity; lower ones never seen join it, lower ones of another profile do nothing.
  Origin origin_for(std::span<const std::uint32_t> refs) {
    const Origin origin = known_or_new(refs.front());
    for (const std::uint32_t ref : refs.subspan(1)) {
      if (origin_of_[ref] == kNoOrigin) {
        attach(ref, origin);
      } else if (state_.links_.home(origin_of_[ref]) != state_.links_.home(origin)) {
        ++state_.conflicts_;
      }
    }
    return origin;
  }

  Origin known_or_new(std::uint32_t ref) {
    if (origin_of_[ref] == kNoOrigin) {
      if (Origin{state_.origin_count_} == kNoOrigin) {
        throw Error(Family::kLimitExceeded, code::kLimitOrigins, "a store holds at most 2^32 - 1 origins");
      }
      attach(ref, Origin{state_.origin_count_++});
    }
    return origin_of_[ref];
  }

  void attach(std::uint32_t ref, Origin origin) {
    state_.identities_.insert(keys_[ref], origin);
    origin_of_[ref] = origin;
  }

  void take_traits(const TraitsRecord& record) {
    const auto sent = std::span(batch_.trait_operations).subspan(record.first_operation, record.operation_count);
    if (!has_keys(sent)) return;
    const std::span refs(batch_.trait_identity_refs.data() + record.first_identity, record.identity_count);
    const Origin known = origin_of_[refs.front()];
    if (is_suppressed(known)) return refuse_suppressed();
    std::vector<StoredOperation> operations = stored_operations(sent, record.time_ms);
    for (StoredOperation& operation : operations) operation.origin = known;
    if (known != kNoOrigin && !state_.profiles_.accepts(known, operations)) {
      return reject(code::kTraitOperationsTooMany, "", "", "at most 10,000 operations on one trait of an origin");
    }
    const Origin origin = origin_for(refs);
    for (StoredOperation& operation : operations) operation.origin = origin;
    state_.profiles_.touch(origin, record.time_ms);
    state_.profiles_.apply(operations, is_linked(origin));
    for (const StoredOperation& operation : operations) {
      if (operation.kind != TraitKind::kUnset) state_.schema_.add_trait(operation.key, operation.value.type);
    }
    accept(origin);
  }

  // Rejects operations for whose key the store has no room.
  bool has_keys(std::span<const TraitOperation> operations) {
    for (const TraitOperation& operation : operations) {
      if (operation_key_[operation.key] != kNone) continue;
      reject(code::kLimitKeys, "", batch_.strings.at(operation.key), kKeysExpected);
      return false;
    }
    return true;
  }

  void take_group(const GroupRecord& record) {
    const auto sent = std::span(batch_.group_operations).subspan(record.first_operation, record.operation_count);
    if (!has_keys(sent)) return;
    const std::uint32_t kind = string_of(record.kind), id = string_of(record.id);
    std::vector<StoredOperation> operations = stored_operations(sent, record.time_ms);
    const Origin known = state_.groups_.find(kind, id);
    for (StoredOperation& operation : operations) operation.origin = known;
    ProfileStore& traits = state_.groups_.traits();
    if (known != kNoOrigin && !traits.accepts(known, operations)) {
      return reject(code::kTraitOperationsTooMany, "", "", "at most 10,000 operations on one trait of a group");
    }
    const Origin group = state_.groups_.find_or_add(kind, id);
    for (StoredOperation& operation : operations) operation.origin = group;
    traits.touch(group, record.time_ms);
    traits.apply(operations, false);
    if (touched_ != nullptr) touched_groups_.push_back(group);
    ++result_.accepted;
  }

  // What a group's traits say may be asked of its members: each is touched once, however often the batch names the group.
  void touch_members() {
    std::ranges::sort(touched_groups_);
    touched_groups_.erase(std::ranges::unique(touched_groups_).begin(), touched_groups_.end());
    for (const Origin group : touched_groups_) {
      const std::span<const Origin> members = state_.groups_.members(group);
      touched_->insert(touched_->end(), members.begin(), members.end());
    }
  }

  bool is_linked(Origin origin) const {
    const Origin home = state_.links_.home(origin);
    return home != origin || state_.links_.members(home).size() > 1;
  }

  std::vector<StoredOperation> stored_operations(std::span<const TraitOperation> operations, std::int64_t time_ms) {
    std::vector<StoredOperation> out;
    out.reserve(operations.size());
    for (const TraitOperation& operation : operations) {
      const KeyId key{operation_key_[operation.key]};
      out.push_back({kNoOrigin, key, operation.kind, time_ms, state_.operation_order_++, stored(operation.value)});
    }
    return out;
  }

  void take_fact(FactType type, std::uint32_t at) {
    const auto index = static_cast<std::size_t>(type);
    const FactColumns& columns = batch_.facts[index];
    const FactRecord& record = columns.records[at];
    const std::span refs(columns.identity_refs.data() + record.first_identity, record.identity_count);
    const Origin known = origin_of_[refs.front()];
    // What a person agrees to, and that nothing is to be kept of them, is heard all the same.
    const bool is_heard = type == FactType::kConsent || type == FactType::kSuppress;
    if (!is_heard && is_suppressed(known)) return refuse_suppressed();
    FactStore& facts = state_.facts_[index];
    StoredFact fact = stored_fact(type, columns, record);
    fact.origin = known;
    if (known != kNoOrigin && !facts.accepts(fact)) {
      return reject(code::kFactTooMany, "", "", "at most 10,000 records of this type an origin");
    }
    fact.origin = origin_for(refs);
    if (type == FactType::kMembership) enter_group(fact, record);
    state_.profiles_.touch(fact.origin, record.time_ms);
    facts.apply(fact);
    accept(fact.origin);
  }

  // A group never seen is made by its first member.
  void enter_group(StoredFact& fact, const FactRecord& record) {
    const Origin group = state_.groups_.find_or_add(string_of(record.subject[0]), string_of(record.subject[1]));
    fact.subject = raw(group);
    FactStore& memberships = state_.facts_[static_cast<std::size_t>(FactType::kMembership)];
    const FactView::Seen seen = memberships.state_at({&fact.origin, 1}, fact.subject, INT64_MAX);
    if (seen.state == FactView::kNoState) state_.groups_.add_member(group, fact.origin);
  }

  StoredFact stored_fact(FactType type, const FactColumns& columns, const FactRecord& record) {
    StoredFact fact;
    const std::uint32_t first = string_of(record.subject[0]), second = string_of(record.subject[1]);
    if (type == FactType::kMembership) {
      fact.subject = raw(state_.groups_.find(first, second));
    } else if (first != kNone) {
      fact.subject = subject_of(first, second);
    }
    fact.state = record.state;
    fact.time_ms = record.time_ms;
    fact.order = state_.sequence_;
    const std::span texts(columns.texts.data() + record.first_text, record.text_count);
    fact.texts.assign(texts.begin(), texts.end());
    for (FactText& text : fact.texts) {
      if (text.value.type != ValueType::kNull) text.value.bits = string_of(static_cast<std::uint32_t>(text.value.bits));
    }
    return fact;
  }

  // The StringId of a string of the batch, kNone for kNone.
  std::uint32_t string_of(std::uint32_t string) {
    if (string == kNone) return kNone;
    operation_string_.resize(batch_.strings.size(), kNone);
    std::uint32_t& id = operation_string_[string];
    if (id == kNone) id = state_.strings_.intern(batch_.strings.at(string));
    return id;
  }

  void take_identify(const PairRecord& record) {
    const Origin anonymous = origin_of_[record.from];
    const Origin known = origin_of_[record.to];
    const std::int64_t time_ms = std::min(record.time_ms, batch_.received_ms);
    if (anonymous == kNoOrigin) {  // an identity never seen is simply one more of the known profile
      const Origin origin = known_or_new(record.to);
      if (origin_of_[record.from] == kNoOrigin) attach(record.from, origin);
      state_.profiles_.touch(origin, record.time_ms);
      return accept(origin);
    }
    const Origin anonymous_home = state_.links_.home(anonymous);
    if (known != kNoOrigin && state_.links_.home(known) == anonymous_home) return accept(known);
    if (is_identified(anonymous_home)) {
      return reject(code::kIdentifyAlreadyIdentified, "anonymous", keys_[record.from].value,
                    "an identity of a profile that is not identified yet; join two identified ones by merge");
    }
    if (!fits(known, anonymous_home)) return;
    const Origin origin = known_or_new(record.to);
    state_.profiles_.touch(origin, record.time_ms);
    join(state_.links_.home(origin), anonymous_home, time_ms);
  }

  bool is_identified(Origin home) const {
    return std::ranges::any_of(state_.links_.members(home), [&](Origin member) {
      return std::ranges::any_of(state_.identities_.of(member),
                                 [](const IdentityEntry& identity) { return is_unique_kind(identity.kind); });
    });
  }

  void take_merge(const PairRecord& record) {
    const Origin loser = origin_of_[record.from];
    const Origin winner = origin_of_[record.to];
    if (loser == kNoOrigin || winner == kNoOrigin) {
      const bool is_loser = loser == kNoOrigin;
      return reject(code::kMergeUnknown, is_loser ? "loser" : "winner", keys_[is_loser ? record.from : record.to].value,
                    "an identity that the store has seen");
    }
    const Origin winner_home = state_.links_.home(winner);
    const Origin loser_home = state_.links_.home(loser);
    if (winner_home == loser_home) return accept(winner);
    if (!fits(winner_home, loser_home)) return;
    join(winner_home, loser_home, std::min(record.time_ms, batch_.received_ms));
  }

  // Rejects a join that would make a profile of too many origins. `into` may be an origin that is not made yet.
  bool fits(Origin into, Origin from_home) {
    const Origin into_home = into == kNoOrigin ? kNoOrigin : state_.links_.home(into);
    const std::size_t have = into == kNoOrigin ? 1 : state_.links_.members(into_home).size();
    if (have + state_.links_.members(from_home).size() <= limits::kOriginsPerProfile) return true;
    reject(code::kMergeTooLarge, "", "", "a profile of at most 1,000 origins");
    return false;
  }

  void join(Origin winner_home, Origin loser_home, std::int64_t time_ms) {
    state_.links_.join(winner_home, loser_home, state_.sequence_, time_ms);
    state_.profiles_.refold(winner_home);
    if (touched_ != nullptr) touched_->push_back(loser_home);
    accept(winner_home);
  }

  void take_unmerge(const UnmergeRecord& record) {
    const auto link = state_.links_.made_by(record.link_sequence);
    const std::int64_t time_ms = std::min(record.time_ms, batch_.received_ms);
    std::vector<Origin> before;
    if (link) {
      const Origin home = state_.links_.home(link->winner);
      const auto members = state_.links_.members(home);
      before.assign(members.begin(), members.end());
    }
    if (!link || !state_.links_.unjoin(record.link_sequence, state_.sequence_, time_ms)) {
      return reject(code::kUnmergeUnknown, "sequence", std::to_string(record.link_sequence),
                    "the sequence of an identify or merge that joined two profiles and is not undone");
    }
    for (const Origin member : before) {
      state_.profiles_.refold(member);
      if (touched_ != nullptr) touched_->push_back(member);
    }
    ++result_.accepted;
  }

  void accept(Origin origin) {
    ++result_.accepted;
    if (touched_ != nullptr) touched_->push_back(origin);
  }

  void reject(std::string_view code, std::string path, std::string_view value, std::string expected) {
    result_.rejects.push_back(
        {record_, code, std::move(path), std::string(value.substr(0, limits::kRejectValueBytes)), std::move(expected)});
  }

  void finish_tail() {
    if (!tail_ || tail_->event.empty()) return;
    count_shapes();
    state_.order_ += tail_->event.size();
    result_.tail = std::move(tail_);
  }

  void count_shapes() {
    const EventColumns& events = batch_.events;
    std::vector<SchemaCounts::Seen> seen(events.shapes.size());
    for (const std::uint32_t event : tail_->event) seen[events.shape[event]].add(events.time_ms[event]);
    for (std::size_t number = 0; number < seen.size(); ++number) {
      if (seen[number].count == 0) continue;
      const Shape& shape = events.shapes[number];
      state_.schema_.add_events(NameId{tail_->shape_name[number]}, seen[number],
                                std::span(events.fields).subspan(shape.first_field, shape.field_count),
                                std::span(tail_->field_key).subspan(shape.first_field, shape.field_count));
    }
  }

  Applier& state_;
  const CanonicalBatch& batch_;
  const std::shared_ptr<const CanonicalBatch>& shared_batch_;
  std::vector<Origin>* touched_;
  std::vector<IdentityKey> keys_;
  std::vector<Origin> origin_of_;                // per identity of the batch; kNoOrigin until it is seen
  std::vector<std::uint8_t> is_refused_;         // per shape: blocked, or its name or a key is one too many
  std::vector<std::uint8_t> is_blocked_;         // per shape
  std::vector<std::uint32_t> operation_key_;     // string of the batch -> KeyId, where a trait operation names it
  std::vector<std::uint32_t> operation_string_;  // string of the batch -> StringId, where an operation or fact has it
  std::vector<Origin> touched_groups_;
  std::shared_ptr<TailBatch> tail_;
  ApplyResult result_;
  std::uint32_t record_ = 0;  // ordinal of the record being taken
};

Applier::Applier(std::uint64_t hash_key, std::int32_t dedupe_days)
    : names_(hash_key),
      keys_(hash_key),
      strings_(hash_key),
      identities_(hash_key),
      event_ids_(dedupe_days, hash_key),
      profiles_(strings_),
      facts_{FactStore(FactType::kDevice), FactStore(FactType::kConsent), FactStore(FactType::kSuppress),
             FactStore(FactType::kMembership), FactStore(FactType::kList)},
      groups_(strings_) {}

Applier::~Applier() = default;

ApplyResult Applier::apply(const std::shared_ptr<const CanonicalBatch>& batch, std::vector<Origin>* touched) {
  received_ms_ = std::max(received_ms_, batch->received_ms);
  day_ = std::max(day_, static_cast<std::int32_t>(batch->received_ms / kDayMs));
  ApplyResult result = Run(*this, batch, touched).take();
  event_ids_.sweep(day_, kSweepAtOnce);
  return result;
}

void Applier::fill(Version& version) {
  version.watermark = sequence_;
  version.origin_count = origin_count_;
  version.identity_count = identities_.size();
  version.links = links_.view();
  version.profiles = profiles_.view(*version.links);
  for (std::size_t type = 0; type < kFactTypes; ++type) version.facts[type] = facts_[type].view();
  version.groups = &groups_;
  version.group_count = groups_.size();
  version.group_traits = groups_.traits_view();
  version.names = &names_;
  version.keys = &keys_;
  version.strings = &strings_;
  version.identities = &identities_;
}

std::vector<std::pair<EventKey, std::int32_t>> Applier::live_event_ids() const { return event_ids_.live(day_); }

SchemaView Applier::schema() const {
  SchemaView out = schema_.view(names_, keys_);
  out.watermark = sequence_;
  return out;
}

void Applier::memory(std::vector<MemoryPart>& parts) const {
  parts.push_back({"identities", identities_.size_bytes(), identities_.size()});
  parts.push_back({"links", links_.size_bytes(), links_.size()});
  parts.push_back({"traits", profiles_.size_bytes(), origin_count_});
  for (std::size_t type = 0; type < kFactTypes; ++type) {
    constexpr std::array<std::string_view, kFactTypes> kParts{"devices", "consents", "suppressions", "memberships",
                                                              "lists"};
    parts.push_back({kParts[type], facts_[type].size_bytes(), facts_[type].size()});
  }
  parts.push_back({"groups", groups_.size_bytes(), groups_.size()});
  parts.push_back({"event_ids", event_ids_.size_bytes(), event_ids_.size()});
  parts.push_back({"schema", schema_.size_bytes(), 0});
  parts.push_back({"names", names_.size_bytes(), names_.size()});
  parts.push_back({"keys", keys_.size_bytes(), keys_.size()});
  parts.push_back({"strings", strings_.size_bytes(), strings_.size()});
}

}  // namespace cdp
