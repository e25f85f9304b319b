"""What the regressions of the app's study estimate, from 4.5 million simulated users.

    python tests/customers/oracle/drivers_truth.py tests/customers/oracle/drivers_truth.json

The generator's factors are per paywall view and multiply. What they do to a user within 28 days of
registration, on the odds scale and averaged over users who differ in much else, has no formula; so
the same models are fitted to so many users that chance hardly matters. It takes a minute or two.

The users' profiles are counted here in pandas, without the study's own reductions.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.customers import drivers, events
from analysis.simulate import customers

SEED, SCALE = 990_001, 300
BANDS = [name for _, name in events.AGE_BANDS] + [events.OLDEST_BAND]
EDGES = [0, *(oldest for oldest, _ in events.AGE_BANDS), 200]


def profiles(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The columns of `kpis.profiles` that the models use."""
    users = tables["users"]
    day = ((users["reg_date"].to_numpy() - customers.START) / np.timedelta64(1, "D")).astype(int)
    users = users.assign(day=day)
    sold = tables["purchases"].drop_duplicates().merge(users[["uid", "day"]], on="uid")
    since = np.floor((sold["date"].to_numpy() - customers.START) / np.timedelta64(1, "D"))
    since = since.astype(int) - sold["day"].to_numpy()
    spent = sold[(since >= 0) & (since < drivers.WINDOW)].groupby("uid")["price"].sum()
    users = users[users["day"] + drivers.WINDOW - 1 <= customers.DAYS - 1]
    cents = users["uid"].map(spent).fillna(0).astype(float)
    age = users["age"].astype("float64")
    band = pd.cut(age, EDGES, labels=BANDS).astype(object)
    frame = pd.DataFrame({
        "country": users["country"], "device": users["device"],
        "gender": users["gender"].astype(object).where(users["gender"].notna(), events.NOT_STATED),
        "age_band": band.where(age.notna(), events.NOT_STATED),
        "users": 1, "age_total": age.fillna(0), "payers": (cents > 0).astype(int),
        "revenue": cents, "revenue_squares": cents**2, "revenue_cubes": cents**3,
        "revenue_fourths": cents**4,
    })
    return frame.groupby(list(events.SEGMENTS), as_index=False).sum()


def coefficients(frame: pd.DataFrame, columns: list[str]) -> dict:
    named = frame.set_index(frame["factor"] + "." + frame["level"])[columns]
    return {name: [round(value, 6) for value in row] for name, row in
            zip(named.index, named.to_numpy().tolist(), strict=True)}


def main(out: Path) -> None:
    whole = None
    for tables in customers.parts(SEED, SCALE):
        part = profiles(tables)
        whole = part if whole is None else pd.concat([whole, part]).groupby(
            list(events.SEGMENTS), as_index=False).sum()
    found = drivers.from_profiles(whole)
    m = found.models
    errors = ["estimate", "standard_error"]
    shares = ["difference", "difference_low", "difference_high", "ratio", "ratio_low", "ratio_high"]
    out.write_text(json.dumps({
        "seed": SEED, "scale": SCALE, "users": found.users, "payers": found.payers,
        "paying": coefficients(m.paying.coefficients, errors),
        "ratio": coefficients(m.ratio.coefficients, errors),
        "mean": coefficients(m.mean.coefficients, errors),
        "ratio_alone": coefficients(m.ratio_alone.coefficients, errors),
        "effects": coefficients(m.effects, shares),
        "alone": coefficients(m.alone, shares),
        "area": round(m.area.estimate, 6),
        "mcfadden": round(m.paying.mcfadden, 6),
        "v": {f"{row.row_factor}.{row.column_factor}": round(row.v, 6)
              for row in found.associations.itertuples()},
    }, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
