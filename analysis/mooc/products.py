"""Courses and categories: what sells, what is taken up, what is completed."""

from __future__ import annotations

import ibis.expr.types as ir
import pandas as pd

from analysis.mooc.reduce import collect, sales, whole

COUNTS = ("units", "orders", "customers", "enrolments", "completions")


def by_course(orders: ir.Table, courses: ir.Table, enrolled: pd.DataFrame) -> pd.DataFrame:
    """Every course, sold or not.

    Args:
        orders: mooc/orders.
        courses: mooc/courses.
        enrolled: Index `course_id`; columns `enrolments` and `completions`.

    Returns:
        Index `course_id`; columns `title`, `category`, `price`, `revenue` (currency), `units`,
        `orders`, `customers`, `enrolments` and `completions`.
    """
    listed = collect(courses.select("course_id", "title", "category", "price"), ("course_id",))
    sold = collect(sales(orders, ("course_id",)), ("course_id",))
    frame = whole(listed.join(sold).join(enrolled), COUNTS)
    return frame.assign(revenue=frame.revenue.fillna(0.0))


def by_category(orders: ir.Table, courses: ir.Table, products: pd.DataFrame) -> pd.DataFrame:
    """Every category, sold or not; orders and customers are distinct in it.

    Args:
        orders: mooc/orders.
        courses: mooc/courses.
        products: From `by_course`.

    Returns:
        Index `category`; columns `courses`, `revenue`, `units`, `orders`, `customers`,
        `enrolments` and `completions`.
    """
    summed = products.groupby("category").agg(
        courses=("price", "size"), enrolments=("enrolments", "sum"),
        completions=("completions", "sum"),
    )
    sold = collect(sales(with_courses(orders, courses), ("category",)), ("category",))
    frame = whole(summed.join(sold), COUNTS)
    order = ["courses", "revenue", "units", "orders", "customers", "enrolments", "completions"]
    return frame.assign(revenue=frame.revenue.fillna(0.0))[order]


def with_courses(orders: ir.Table, courses: ir.Table) -> ir.Table:
    """Orders with the category of the course."""
    return orders.join(courses.select("course_id", "category"), "course_id")
