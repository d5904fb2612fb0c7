"""The questions, in words. Every engine answers them exactly; the harness compares the answers before it reports."""

QUESTIONS = {
    "q1": "events by name and day",
    "q2": "distinct profiles a day, a week and 30 days, over 90 days",
    "q3": "segment: 3 purchases worth 150 in 30 days, in four countries, never uninstalled",
    "q4": "segment: nested and/or/not of five behaviours in different windows and two traits",
    "q5": "funnel of 3 steps in 7 days, by country",
    "q6": "funnel of 5 steps in 7 days",
    "q7": "weekly retention of those who launched the app",
    "q8": "daily retention on any event, 30 days",
    "q9": "20 products with the highest revenue: one platform, four categories, 60 days",
    "q10": "distinct viewers by category and platform, 30 days",
    "q15": "profiles that put something into the cart and paid within the hour, nothing removed between",
    "q16": "point read: all events and traits of one profile",
}
# How many profiles a run of q16 reads: divide its time by this.
POINT_READS = 200
