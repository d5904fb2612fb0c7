"""Polars: one frame sorted by (user, time). The forms use that order (shift and forward fill instead of hashing), which
is more than most of its users would write."""

import os
from pathlib import Path
from typing import Any

os.environ["POLARS_MAX_THREADS"] = "2"  # read once, at import

import polars as pl

from bench.data import schema
from bench.versus.engine import Row, canonical, point_users

ENUMS = {
    "event": schema.EVENTS,
    "category": schema.CATEGORIES,
    "currency": schema.CURRENCIES,
    "platform": schema.PLATFORMS,
}
DAY = ((pl.col("time_ms") - schema.START_MS) // schema.DAY_MS).cast(pl.UInt8)
EVENT, USER = pl.col("event"), pl.col("user_id")


def since(days: int) -> pl.Expr:
    """In the last so many days."""
    return pl.col("time_ms") >= schema.END_MS - days * schema.DAY_MS


def first_of_each(frame: pl.LazyFrame, bucket: pl.Expr) -> pl.LazyFrame:
    """The first row of every (user, bucket), without hashing. REQUIRES: sorted by (user, time)."""
    narrow = frame.select("user_id", bucket.alias("b"))
    changed = (USER != USER.shift(1)) | (pl.col("b") != pl.col("b").shift(1))
    return narrow.filter(changed.fill_null(True))


def retention(frame: pl.LazyFrame, bucket: pl.Expr, periods: int) -> pl.DataFrame:
    """Cohort = first bucket of the user, carried down the sorted frame."""
    firsts = first_of_each(frame, bucket)
    is_new = (USER != USER.shift(1)).fill_null(True)
    firsts = firsts.with_columns(pl.when(is_new).then(pl.col("b")).forward_fill().alias("c"))
    firsts = firsts.with_columns((pl.col("b") - pl.col("c")).alias("k"))
    return firsts.filter(pl.col("k") <= periods).group_by("c", "k").len().collect()


class Polars:
    """Hand-written forms, one a question."""

    def version(self) -> str:
        return f"polars {pl.__version__}"

    def load(self, folder: Path) -> None:
        events = pl.read_parquet(folder / "events.parquet").drop("anonymous_id")
        events = events.with_columns(
            pl.col(name).cast(pl.String).cast(pl.Enum(values)) for name, values in ENUMS.items()
        )
        self.events = events.sort("user_id", "time_ms").set_sorted("user_id")
        self.users = pl.read_parquet(folder / "users.parquet").with_columns(
            pl.col("country").cast(pl.String).cast(pl.Enum(schema.COUNTRIES)),
            pl.col("plan").cast(pl.String).cast(pl.Enum(schema.PLANS)),
            pl.col("city").cast(pl.String),
            pl.col("device").cast(pl.String),
        )
        self.points = point_users(folder)

    def bytes_per_event(self) -> float:
        stored = float(self.events.estimated_size())
        return stored / float(self.events.height)

    def forms(self, question: str) -> list[str]:
        return [question]

    def run(self, question: str, form: str) -> Any:  # noqa: ARG002 - one form a question
        return getattr(self, question)()

    def rows(self, question: str, answer: Any) -> list[Row]:
        if question == "q16":
            return canonical((len(events), len(profile)) for events, profile in answer)
        return canonical(answer.rows())

    def q1(self) -> pl.DataFrame:
        return self.events.lazy().group_by(DAY.alias("d"), "event").len().collect()

    def q2(self) -> pl.DataFrame:
        days = first_of_each(self.events.lazy(), DAY).collect().lazy()
        parts = []
        for index, width in enumerate((1, 7, 30)):
            firsts = days if width == 1 else first_of_each(days, pl.col("b") // width)
            parts.append(firsts.group_by("b").len().select(pl.lit(index).alias("g"), "b", "len"))
        return pl.concat(parts).collect()

    def q3(self) -> pl.DataFrame:
        users = self.users.lazy().filter(pl.col("country").is_in(schema.SPENDERS_COUNTRIES)).select("user_id")
        charged = (EVENT == "Charged") & since(30)
        per_user = (
            self.events.lazy()
            .filter(EVENT.is_in(["Charged", "App Uninstalled"]))
            .join(users, on="user_id", how="semi")
            .group_by("user_id")
            .agg(
                charged.sum().alias("n"),
                pl.col("price").filter(charged).sum().cast(pl.Int64).alias("s"),
                (EVENT == "App Uninstalled").sum().alias("x"),
            )
        )
        wanted = (pl.col("n") >= 3) & (pl.col("s") >= schema.SPENDERS_SUM) & (pl.col("x") == 0)
        return per_user.filter(wanted).select("user_id").sort("user_id").collect()

    def q4(self) -> pl.DataFrame:
        names = ["Charged", "Product Viewed", "Added To Cart", "Notification Dismissed", "App Launched"]
        electronics = (EVENT == "Added To Cart") & (pl.col("category") == "electronics")
        counts = (
            self.events.lazy()
            .filter(since(30) & EVENT.is_in(names))
            .group_by("user_id")
            .agg(
                (EVENT == "Charged").sum().alias("c1"),
                ((EVENT == "Product Viewed") & since(7)).sum().alias("c2"),
                (electronics & since(3)).sum().alias("c3"),
                ((EVENT == "Notification Dismissed") & since(14)).sum().alias("c4"),
                ((EVENT == "App Launched") & since(14)).sum().alias("c5"),
            )
        )
        joined = self.users.lazy().select("user_id", "plan", "age").join(counts, on="user_id", how="left")
        joined = joined.with_columns(pl.col("c1", "c2", "c3", "c4", "c5").fill_null(0))
        active = (pl.col("c1") >= 2) & ((pl.col("c2") >= 5) | (pl.col("c3") >= 1)) & ~(pl.col("c4") >= 3)
        asleep = pl.col("plan").is_in(["premium", "business"]) & (pl.col("c5") == 0) & (pl.col("age") >= 25)
        return joined.filter(active | asleep).select("user_id").sort("user_id").collect()

    def _reached(self, steps: list[str]) -> pl.LazyFrame:
        """Steps reached by each user: the latest start of a chain carried forward over the sorted frame."""
        frame = self.events.lazy().filter(EVENT.is_in(steps)).select("user_id", "time_ms", "event")
        frame = frame.with_columns(pl.when(EVENT == steps[0]).then(pl.col("time_ms")).alias("s1"))
        for level in range(2, len(steps) + 1):
            before = pl.col(f"s{level - 1}")
            frame = frame.with_columns(
                before.forward_fill().alias("m"),
                pl.when(before.is_not_null()).then(USER).forward_fill().alias("of"),
            )
            in_time = pl.col("time_ms") - pl.col("m") <= schema.FUNNEL_WINDOW_MS
            hit = (EVENT == steps[level - 1]) & (pl.col("of") == USER) & in_time
            frame = frame.with_columns(pl.when(hit).then(pl.col("m")).alias(f"s{level}"))
        levels = range(1, len(steps) + 1)
        return frame.group_by("user_id").agg(
            pl.col(f"s{level}").is_not_null().any().alias(f"r{level}") for level in levels
        )

    def q5(self) -> pl.DataFrame:
        countries = self.users.lazy().select("user_id", "country")
        joined = self._reached(schema.FUNNEL_SHORT).join(countries, on="user_id")
        return joined.group_by("country").agg(pl.col(f"r{level}").sum() for level in (1, 2, 3)).collect()

    def q6(self) -> pl.DataFrame:
        return self._reached(schema.FUNNEL_LONG).select(pl.col(f"r{level}").sum() for level in range(1, 6)).collect()

    def q7(self) -> pl.DataFrame:
        return retention(self.events.lazy().filter(EVENT == "App Launched"), DAY // 7, schema.DAYS)

    def q8(self) -> pl.DataFrame:
        return retention(self.events.lazy(), DAY, 30)

    def q9(self) -> pl.DataFrame:
        wanted = (EVENT == "Charged") & (pl.col("platform") == "android") & since(60)
        return (
            self.events.lazy()
            .filter(wanted & pl.col("category").is_in(schema.TOP_CATEGORIES))
            .group_by("product_id")
            .agg(pl.col("price").cast(pl.Int64).sum().alias("r"), pl.len().alias("n"))
            .sort(["r", "product_id"], descending=[True, False])
            .head(20)
            .collect()
        )

    def q10(self) -> pl.DataFrame:
        viewed = self.events.lazy().filter((EVENT == "Product Viewed") & since(30))
        distinct = viewed.select("category", "platform", "user_id").unique()
        return distinct.group_by("category", "platform").len().collect()

    def q15(self) -> pl.DataFrame:
        names = ["Added To Cart", "Charged", "Item Removed"]
        rows = self.events.lazy().filter(EVENT.is_in(names)).select("user_id", "time_ms", "event")
        in_time = pl.col("time_ms") - pl.col("time_ms").shift(1) <= schema.AT_ONCE_MS
        before = (USER.shift(1) == USER) & (EVENT.shift(1) == "Added To Cart") & in_time
        return rows.filter((EVENT == "Charged") & before).select(USER.n_unique()).collect()

    def q16(self) -> list[tuple[Any, Any]]:
        answers = []
        for user in self.points:
            first, last = (self.events["user_id"].search_sorted(user, side) for side in ("left", "right"))
            row = self.users["user_id"].search_sorted(user, "left")
            answers.append((self.events.slice(first, last - first).to_arrow(), self.users.slice(row, 1).to_arrow()))
        return answers
