// The one list of error codes, shared with Python, the wire and HTTP. A code is a dotted string; its family (the
// first argument of CDP_ERROR_CODES) decides the Python class and the HTTP status. Exported as `_core.error_codes()`.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace cdp {

enum class Family {
  kBadQuery,
  kBadEvent,  // a record was refused; in an ack's rejects, not raised
  kBadFrame,  // a batch that cannot be read at all
  kInvalidRequest,
  kNotFound,
  kConflict,
  kLimitExceeded,
  kUnavailable,
  kTimeout,
  kCorruption,
  kInternal,
};

class Error : public std::runtime_error {
 public:
  // REQUIRES: code is a literal (kept by reference).
  Error(Family family, std::string_view code, std::string message, std::string path = {})
      : std::runtime_error(std::move(message)), family_(family), code_(code), path_(std::move(path)) {}
  [[nodiscard]] Family family() const noexcept { return family_; }
  [[nodiscard]] std::string_view code() const noexcept { return code_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  Family family_;
  std::string_view code_;
  std::string path_;
};

// Codes of rejects and errors. Add here, nowhere else.
namespace code {
// records
inline constexpr std::string_view kRecordNotAMap = "record.not_a_map";
inline constexpr std::string_view kRecordTypeMissing = "record.type.missing";
inline constexpr std::string_view kRecordTypeUnknown = "record.type.unknown";
inline constexpr std::string_view kRecordTypeUnsupported = "record.type.unsupported";
inline constexpr std::string_view kRecordFieldUnknown = "record.field.unknown";
inline constexpr std::string_view kRecordFieldMissing = "record.field.missing";
inline constexpr std::string_view kRecordFieldType = "record.field.type";
inline constexpr std::string_view kRecordFieldLength = "record.field.length";
inline constexpr std::string_view kRecordFieldValue = "record.field.value";
inline constexpr std::string_view kRecordTooLarge = "record.too_large";
inline constexpr std::string_view kRecordTooDeep = "record.too_deep";
inline constexpr std::string_view kKeyDuplicate = "record.key.duplicate";
inline constexpr std::string_view kKeyDot = "record.key.dot";
inline constexpr std::string_view kKeyReserved = "record.key.reserved";  // a leading $
inline constexpr std::string_view kKeyUtf8 = "record.key.utf8";
inline constexpr std::string_view kKeyNotString = "record.key.not_string";
inline constexpr std::string_view kKeyLength = "record.key.length";
inline constexpr std::string_view kTimeOutOfRange = "event.time.out_of_range";
inline constexpr std::string_view kNameLength = "event.name.length";
inline constexpr std::string_view kNameReserved = "event.name.reserved";
inline constexpr std::string_view kNameBlocked = "event.name.blocked";  // by a definition of the store
inline constexpr std::string_view kPropertiesTooMany = "event.properties.too_many";
inline constexpr std::string_view kEventIdLength = "event.event_id.length";
inline constexpr std::string_view kValueIntRange = "value.int.out_of_range";
inline constexpr std::string_view kValueFloatNotFinite = "value.float.not_finite";
inline constexpr std::string_view kValueStringLength = "value.string.length";
inline constexpr std::string_view kValueStringUtf8 = "value.string.utf8";
inline constexpr std::string_view kValueBinary = "value.binary.unsupported";
inline constexpr std::string_view kValueExt = "value.ext.unsupported";
inline constexpr std::string_view kValueDatetime = "value.datetime.invalid";
inline constexpr std::string_view kValueListMixed = "value.list.mixed";
inline constexpr std::string_view kIdentityNone = "identity.none";
inline constexpr std::string_view kIdentityKindUnknown = "identity.kind.unknown";
inline constexpr std::string_view kIdentityKindNotIdentifying = "identity.kind.not_identifying";
inline constexpr std::string_view kIdentityLength = "identity.length";
inline constexpr std::string_view kIdentityTooMany = "identity.too_many";
inline constexpr std::string_view kTraitOperation = "traits.operation.invalid";
inline constexpr std::string_view kTraitOperationsTooMany = "traits.operations.too_many";
inline constexpr std::string_view kFactTooMany = "fact.too_many";
inline constexpr std::string_view kProfileSuppressed = "profile.suppressed";
inline constexpr std::string_view kIdentifyAlreadyIdentified = "identify.already_identified";
inline constexpr std::string_view kIdentifyKinds = "identify.kinds";
inline constexpr std::string_view kMergeUnknown = "merge.unknown_identity";
inline constexpr std::string_view kMergeTooLarge = "merge.too_large";
inline constexpr std::string_view kUnmergeUnknown = "unmerge.unknown_link";
// batches and frames
inline constexpr std::string_view kBatchUnreadable = "batch.unreadable";
inline constexpr std::string_view kBatchNotAnArray = "batch.not_an_array";
inline constexpr std::string_view kBatchTooLarge = "batch.too_large";
inline constexpr std::string_view kBatchTooMany = "batch.too_many_records";
inline constexpr std::string_view kProducerStale = "producer.number.stale";
// rows of Arrow
inline constexpr std::string_view kArrowInvalid = "load.arrow.invalid";  // what no producer should hand over
inline constexpr std::string_view kArrowFailed = "load.arrow.failed";    // the producer's own error
inline constexpr std::string_view kLoadColumn = "load.column";           // missing, or of a type that has no place here
inline constexpr std::string_view kLoadMapping = "load.mapping";
// store
inline constexpr std::string_view kStoreLocked = "store.locked";
inline constexpr std::string_view kStoreClosed = "store.closed";
inline constexpr std::string_view kStoreFormat = "store.format";
inline constexpr std::string_view kShards = "store.shards";
inline constexpr std::string_view kLogFailed = "log_failed";
inline constexpr std::string_view kLogSpace = "log.space";
inline constexpr std::string_view kLogCorrupt = "log.corrupt";
inline constexpr std::string_view kDiskFailed = "disk.failed";
inline constexpr std::string_view kApplyFailed = "store.apply_failed";  // for good: open the store again
inline constexpr std::string_view kNoMemory = "store.no_memory";        // later it may do
inline constexpr std::string_view kLimitNames = "limit.event_names";
inline constexpr std::string_view kLimitKeys = "limit.property_keys";
inline constexpr std::string_view kLimitOrigins = "limit.origins";
// queries
inline constexpr std::string_view kQueryInvalid = "query.invalid";
inline constexpr std::string_view kQueryFieldUnknown = "query.field.unknown";
inline constexpr std::string_view kQueryUnsupported = "query.unsupported";
inline constexpr std::string_view kQueryMemory = "query.memory";
inline constexpr std::string_view kQueryDeadline = "query.deadline";
inline constexpr std::string_view kQueryCancelled = "query.cancelled";
inline constexpr std::string_view kProfileNotFound = "profile.not_found";
inline constexpr std::string_view kDefinitionInvalid = "definition.invalid";
inline constexpr std::string_view kWatchNotFound = "watch.not_found";
inline constexpr std::string_view kCursorExpired = "cursor.expired";
inline constexpr std::string_view kInternal = "internal";
}  // namespace code

}  // namespace cdp
