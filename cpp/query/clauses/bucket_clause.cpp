#include "query/clauses/local_clause.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"

namespace cdp {
namespace {

constexpr std::size_t kSaltBytes = 256;

class BucketClause final : public FactClause {
 public:
  BucketClause(std::string salt, std::uint32_t from, std::uint32_t to) : salt_(std::move(salt)), from_(from), to_(to) {}
  [[nodiscard]] Truth evaluate(const Version&, Origin home, std::int64_t) const override {
    const std::uint32_t bucket = bucket_of(raw(home), salt_);
    return {bucket >= from_ && bucket < to_, INT64_MAX};
  }
  [[nodiscard]] bool resolved() const noexcept override { return true; }

 private:
  std::string salt_;
  std::uint32_t from_, to_;
};

struct BucketSpec final : LocalClauseSpec {
  std::string salt;
  std::uint32_t from = 0, to = 0;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version&, const Moment&) const override {
    return std::make_unique<BucketClause>(salt, from, to);
  }
};

}  // namespace

std::uint32_t bucket_of(std::uint64_t profile_id, std::string_view salt) noexcept {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325u;
  const auto add = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 0x100'0000'01B3u; };
  for (const char letter : salt) add(static_cast<std::uint8_t>(letter));
  for (int byte = 0; byte < 8; ++byte) add(static_cast<std::uint8_t>(profile_id >> (8 * byte)));
  hash = (hash ^ (hash >> 33)) * 0xFF51'AFD7'ED55'8CCDu;
  hash = (hash ^ (hash >> 33)) * 0xC4CE'B9FE'1A85'EC53u;
  return static_cast<std::uint32_t>((hash ^ (hash >> 33)) % static_cast<std::uint64_t>(kBuckets));
}

LocalClausePtr parse_bucket_clause(Fields& fields) {
  auto out = std::make_shared<BucketSpec>();
  const Path path = fields.path("bucket");
  Fields inner(fields.require("bucket", "a map of salt, from and to"), path);
  out->salt = std::string(read_string(inner.require("salt", "a text"), inner.path("salt")));
  if (out->salt.size() > kSaltBytes) fail_invalid(inner.path("salt"), "expected a text of at most 256 bytes");
  out->from = static_cast<std::uint32_t>(inner.integer("from", 0, kBuckets).value_or(0));
  out->to = static_cast<std::uint32_t>(inner.integer("to", 0, kBuckets).value_or(kBuckets));
  if (out->to < out->from) fail_invalid(inner.path("to"), "expected a bucket not before from");
  inner.done();
  return out;
}

}  // namespace cdp
