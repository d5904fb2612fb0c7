"""Constants of the workload: one place, used by the generator and by every engine.

Times are milliseconds; prices are integer cents, so that every sum is exact in every engine.
"""

SECOND_MS = 1_000
DAY_MS = 86_400 * SECOND_MS
START_MS = 1_704_067_200_000  # 2024-01-01 00:00:00 UTC, a Monday
DAYS = 90
END_MS = START_MS + DAYS * DAY_MS  # "now" of every relative window; exclusive

# fmt: off
EVENTS = [
    "App Launched", "Page Viewed", "Product Viewed", "Search", "Push Received",
    "Added To Cart", "Category Viewed", "Push Clicked", "Video Played", "Notification Dismissed",
    "Checkout Started", "Charged", "Item Removed", "Added To Wishlist", "Login",
    "Logout", "Coupon Applied", "Review Read", "Shared", "Email Opened",
    "Email Clicked", "Profile Updated", "Rating Given", "App Updated", "Support Chat",
    "Referral Sent", "Subscription Renewed", "Refund Requested", "App Uninstalled", "Account Deleted",
]
COMMERCE = [
    "Product Viewed", "Added To Cart", "Checkout Started", "Charged", "Item Removed",
    "Added To Wishlist", "Review Read", "Rating Given", "Refund Requested",
]
CATEGORIES = [  # "": the event has no category
    "", "electronics", "fashion", "grocery", "home", "beauty", "toys", "sports", "books", "auto", "garden",
    "health", "pets", "music", "office", "baby", "shoes", "watches", "jewelry", "travel", "games",
]
COUNTRIES = [
    "IN", "US", "BR", "ID", "GB", "DE", "FR", "MX", "PH", "VN", "TH", "TR", "IT", "ES", "PL",
    "NL", "CA", "AU", "AE", "SA", "EG", "NG", "ZA", "KE", "JP", "KR", "MY", "SG", "AR", "CL",
]
# fmt: on
EVENT_CODE = {name: code for code, name in enumerate(EVENTS)}
PLATFORMS = ["android", "ios", "web", "tv"]
CURRENCIES = ["INR", "USD", "EUR", "GBP", "BRL"]
PLANS = ["free", "basic", "premium", "business"]
CITIES = [f"city{number:03d}" for number in range(500)]
DEVICES = [f"dev{number:02d}" for number in range(40)]
PRODUCT_COUNT = 200_000

# Share of the profiles that were anonymous for a part of their history, and of the events that arrive late.
MERGED_SHARE = 0.01
LATE_SHARE = 0.01

# Thresholds of the questions
FUNNEL_SHORT = ["Product Viewed", "Added To Cart", "Charged"]
FUNNEL_LONG = ["App Launched", "Product Viewed", "Added To Cart", "Checkout Started", "Charged"]
FUNNEL_WINDOW_MS = 7 * DAY_MS
AT_ONCE_MS = 3_600 * SECOND_MS
SPENDERS_SUM = 15_000
SPENDERS_COUNTRIES = ["IN", "US", "BR", "GB"]
TOP_CATEGORIES = ["electronics", "fashion", "home", "beauty"]
