"""The bounds of `cpp/base/limits.hpp` that decide what is accepted; a test holds the two together."""

from typing import Final

__all__ = ["LIMITS"]

LIMITS: Final[dict[str, int]] = {
    "kBatchBytes": 8 << 20,
    "kBatchRecords": 10_000,
    "kRecordBytes": 64 << 10,
    "kStringBytes": 4 << 10,
    "kNameBytes": 256,
    "kIdentityBytes": 512,
    "kProperties": 256,
    "kDepth": 8,
    "kIdentitiesPerRecord": 16,
    "kTimeMinMs": 94_694_400_000,
    "kTimeMaxMs": 4_102_444_800_000,
    "kFutureSnapMs": 120_000,
    "kOriginsPerProfile": 1_000,
    "kOperationsPerTrait": 10_000,
    "kFactsPerOrigin": 10_000,
    "kDedupeDays": 30,
}
