"""The real book, built from the repository: its numbers are those of the command line."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import browser
import pandas as pd
import pytest
import site_check
from bs4 import BeautifulSoup

from analysis import __main__ as cli
from analysis import kept, simulate
from analysis.report import text
from analysis.sources import SHIPPED
from render import qmd

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "_book", "_freeze", ".quarto", "tests")
LARGEST_PAGE = 1_500_000  # bytes, with all that the page shows
# Values that mean something to HTML, Markdown, Typst, LaTeX, Quarto or a spreadsheet.
HOSTILE = ("<script>alert(1)</script>", "a|b", '#panic("x")', r"\input{secret}", "{{< env HOME >}}",
           "=cmd()", "*b* `c` $d$", "@sec-mooc", "`{python} 1/0`", "</td></table>", "# h", "&amp;")


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    own = {k: v for k, v in os.environ.items() if not k.startswith("BOOK_")}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=own | environment | {"PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The repository without what was built; earlier runs of the chapters come along."""
    root = tmp_path_factory.mktemp("book") / "book"
    shutil.copytree(ROOT, root, ignore=NOT_COPIED)
    return root


@pytest.fixture(scope="module")
def site(copy, shared_folder) -> Path:
    """The book; its studies, which take long, are kept for the other tests and the notebooks."""
    run("render", "book", "--engine", "embedded", cwd=copy, **{kept.FOLDER: shared_folder})
    return copy / "_book"


@pytest.fixture
def results(request, monkeypatch, capsys):
    """What the command line prints of a shipped study, from its one analysis a worker."""

    def printed(study: str) -> dict:
        found = request.getfixturevalue(f"{study}_study")
        monkeypatch.setattr(f"{cli.STUDIES[study]}.analyse", lambda tables: found)
        assert cli.main(["results", study, "--data", str(SHIPPED)]) == 0
        return json.loads(capsys.readouterr().out)

    return printed


def shown(markdown: str) -> str:
    """What a page shows of a number in Markdown."""
    return markdown.replace("\\", "")


def page(site: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")


def rows(soup: BeautifulSoup, label: str) -> list[list[str]]:
    """A table's cells as printed, its head left out."""
    found = soup.find(id=label).find("tbody").find_all("tr")
    return [[cell.get_text() for cell in row.find_all("td")] for row in found]


def test_the_notebooks_are_the_chapters_of_today(site, copy):
    run("render", "notebooks", "--check", cwd=copy)  # of the runs of the site


def test_tables_print_the_results_of_the_command_line(site, results):
    results = results("engagement")
    soup = page(site, "chapters/engagement.html")

    described = rows(soup, "tbl-engagement-description")
    assert len(described) == 4
    for plan, quarter, *printed in described:
        key = f"groups.{plan.lower()}.{quarter.lower().replace(' ', '_')}.summary"
        fields = ("mean", "sd", "p25", "median", "p75", "trimmed_mean_20")
        expected = [text.number(results[f"{key}.n"])]
        expected += [text.number(results[f"{key}.{field}"], 1) for field in fields]
        assert printed == expected

    steps = {name: values for name, *values in rows(soup, "tbl-engagement-steps")}
    for column, plan in enumerate(("paid", "free")):
        welch = f"comparisons.{plan}.welch"
        assert steps["t statistic"][column] == text.number(results[f"{welch}.statistic"], 3)
        assert steps["Degrees of freedom"][column] == text.number(results[f"{welch}.df"], 1)
        assert steps["Critical value at 5%"][column] == text.number(
            results[f"{welch}.critical_value"], 3
        )
        assert steps["p"][column] == shown(text.p_value(results[f"{welch}.p_value"]))
    decided = [row[-1] for row in rows(soup, "tbl-engagement-family")]
    assert decided == [
        "reject" if reject else "do not reject"
        for name, reject in results.items()
        if name.startswith("family.") and name.endswith(".reject")
    ]


def test_the_app_s_tables_print_the_results_of_the_command_line(site, results):
    results = results("customers")
    soup = page(site, "chapters/customer-analytics.html")
    seen = rows(soup, "tbl-customers-retention")
    assert len(seen) == 6
    for day, users, active, share, _ in seen:
        key = f"retention.{day}"
        assert users == text.number(results[f"{key}.at_risk"])
        assert active == text.number(results[f"{key}.active"])
        assert share == text.percent(results[f"{key}.retention"])
    steps = {name: values for name, *values in rows(soup, "tbl-customers-t-steps")}
    for name, field in (("t statistic", "statistic"), ("p-value", "p_value")):
        value = results[f"lift.t_test.welch.{field}"]
        assert set(steps[name]) == {text.number(value, 4)}
    said = soup.get_text(" ")
    assert shown(text.p_value(results["lift.primary.z.p_value"])) in said
    assert f"{text.number(results['belief.readings.uniform.better'] * 100, 1)}%" in said


def test_the_mooc_s_tables_print_the_results_of_the_command_line(site, results):
    results = results("mooc")
    soup = page(site, "chapters/mooc-segmentation.html")
    parameters = rows(soup, "tbl-mooc-value-parameters")
    assert len(parameters) == 7
    for name, (_, _, printed, *_) in zip(
        ("r", "alpha", "a", "b", "p", "q", "gamma"), parameters, strict=True
    ):
        estimate = results[f"value.parameters.{name}.estimate"]
        assert float(printed) == pytest.approx(estimate, rel=0.01)
    sizes = {name: values for name, *values in rows(soup, "tbl-mooc-segments")}
    assert len(sizes) == 11
    for segment, (customers, share, *_) in sizes.items():
        key = f"segments.sizes.{segment.lower().replace(' ', '_')}.customers"
        assert customers == text.number(results[key])
        assert share == text.percent(results[key] / results["value.history.customers"])
    said = soup.get_text(" ")
    stages = [results[f"funnel.total.{stage}"]
              for stage in ("signed_up", "enrolled_in_course", "completed_course")]
    for reached in stages[1:]:
        assert text.percent(reached / stages[0], 0) in said


@pytest.mark.parametrize("chapter", ["customer-analytics", "mooc-segmentation"])
def test_every_technique_is_linked_to_its_section(site, chapter):
    soup = page(site, f"chapters/{chapter}.html")
    where = qmd.read(ROOT, Path(f"chapters/{chapter}.qmd")).meta["techniques"]
    table = soup.find(id=re.compile("^sec-.*-techniques$")).find_next("table")
    links = table.find("tbody").find_all("a")
    assert [link["href"].lstrip("#") for link in links] == list(where.values())
    for link in links:
        section = soup.find(id=link["href"].lstrip("#"))
        number = section.find(class_="header-section-number").get_text(strip=True)
        assert link.get_text(" ", strip=True).replace("\u00a0", " ") == f"Section {number}"


def test_no_value_is_missing_from_a_sentence(site):
    for file in sorted(site.rglob("*.html")):
        main = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").find("main")
        for code in main.find_all(["details", "pre", "math"]):
            code.decompose()
        said = main.get_text(" ")
        for sign in ("{python}", r"\bnan\b", "None,", " inf ", r"\?\?", "@fig", "@tbl", "@sec",
                     "object at"):
            assert not re.search(sign, said), f"{file.name}: {sign!r}"


def test_every_table_and_figure_is_linked_to_its_numbers(site):
    seen = 0
    for file in sorted((ROOT / "chapters").glob("*.qmd")):
        soup = page(site, f"chapters/{file.stem}.html")
        for cell in qmd.read(ROOT, file.relative_to(ROOT)).cells:
            label = cell.options.get("label", "")
            if not label.startswith(("fig-", "tbl-")):
                continue
            link = soup.find(id=label).find_next(class_="numbers").find("a")
            assert link["download"] == f"{label}.csv"
            given = pd.read_csv(site / "chapters" / link["href"], dtype=str, keep_default_na=False)
            assert len(given) and len(given.columns), label
            formulas = given.stack()[lambda v: v.str.match(r"[=+@\t\r\n-]")]
            assert pd.to_numeric(formulas, errors="coerce").notna().all(), label
            if label.startswith("tbl-"):
                assert len(given) == len(rows(soup, label)), label
            else:
                drawing = site / "chapters" / soup.find(id=label).find("img")["src"]
                assert drawing.read_text("utf-8").count("<path") > 5, label
            seen += 1
    assert seen > 250


def test_the_numbers_are_those_of_the_command_line(site, results):
    results = results("customers")
    given = pd.read_csv(
        site / "chapters/customer-analytics_files/figure-html/tbl-customers-retention.csv")
    for row in given.set_index("Day since registration").itertuples():
        key = f"retention.{row.Index}"
        assert row.Active == results[f"{key}.active"]
        assert row.Retention == pytest.approx(results[f"{key}.retention"], rel=1e-11)


def test_every_cell_fits_a_screen():
    for file in [ROOT / "index.qmd", *sorted((ROOT / "chapters").glob("*.qmd"))]:
        inside, length = False, 0
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("```"):
                inside, length = line.startswith("```{python}"), 0
            length += inside
            assert length <= 40, f"{file.name}: a cell longer than a screen, at {line!r}"


def test_pages_are_light(site):
    for file in sorted(site.rglob("*.html")):
        shown = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").find_all("img")
        size = file.stat().st_size + sum((file.parent / i["src"]).stat().st_size for i in shown)
        assert size < LARGEST_PAGE, f"{file.name}: {size:,} bytes"


def test_the_churn_tables_print_the_results_of_the_command_line(site, results):
    results = results("netflix")
    soup = page(site, "chapters/netflix-churn.html")
    tests = rows(soup, "tbl-netflix-traits")
    assert len(tests) == 14
    names = [name.split(".")[2] for name in results if name.startswith("traits.tests.")]
    for trait, (_, groups, statistic, *_) in zip(dict.fromkeys(names), tests, strict=True):
        assert groups == text.number(results[f"traits.tests.{trait}.groups"])
        assert statistic == text.number(results[f"traits.tests.{trait}.statistic"], 1)
    said = " ".join(soup.get_text(" ").split())
    assert f"{text.number(results['subscribers'])} subscribers, of whom" in said
    for key in ("offers.effects.promo_used.exposed_rate", "offers.effects.promo_used.others_rate",
                "churn_rate.estimate"):
        assert text.percent(results[key]) in said
    low, high, here = (
        text.number(results[f"plans.{name}"])
        for name in ("limits.low", "limits.high", "still_here"))
    assert f"{low} to {high} of the {here} still there may churn in a month" in said


def test_the_trialers_tables_print_the_results_of_the_command_line(site, results):
    results = results("trialers")
    soup = page(site, "chapters/trialer-ab-test.html")
    flow = rows(soup, "tbl-trialers-flow")
    assigned = {cohort: customers for stage, cohort, customers, *_ in flow if stage == "Assigned"}
    for cohort, customers in assigned.items():
        assert customers == text.number(results[f"customers.{cohort.lower()}"])
    said = " ".join(soup.get_text(" ").split())
    for metric in ("engagement", "conversion"):
        for cohort in ("control", "test"):
            rate = results[f"metrics.{metric}.{cohort}_rate.estimate"]
            assert text.percent(rate) in said
    assert results["decision.action"].split()[0].capitalize() in said


def test_the_front_page_counts_the_verdicts_of_the_audit(site):
    counts = {name: values for name, *values in rows(
        page(site, "chapters/claims.html"), "tbl-claims-verdicts")}
    claims, supported, not_supported, contradicted, untold = counts["All"]
    said = " ".join(page(site, "index.html").get_text(" ").split())
    assert (f"Of {claims} published claims, {supported} are supported, {not_supported} are not "
            f"supported, {contradicted} are contradicted and {untold} cannot be told") in said
    sources = [[int(n) for n in values] for name, values in counts.items() if name != "All"]
    assert [sum(column) for column in zip(*sources, strict=True)] == [int(n) for n in counts["All"]]


def test_every_address_leads_somewhere(site):
    assert len(list(site.rglob("*.html"))) > 8 and (site / "404.html").is_file()
    assert site_check.problems(site) == []


@pytest.mark.skipif(not browser.CHROMIUM, reason="no chromium on the PATH to look at pages with")
def test_a_browser_finds_nothing_wrong(site):
    with browser.chromium() as chromium:
        assert browser.problems(site, chromium) == []


@pytest.mark.skipif(not browser.CHROMIUM, reason="no chromium on the PATH to look at pages with")
def test_a_browser_finds_what_is_wrong(tmp_path):
    (tmp_path / "page.html").write_text(
        '''<html lang="en"><title>Page</title><style>p, .pale { color: #333 }
        .blue { text-decoration: none; color: #00f }
        @media (prefers-color-scheme: dark) { p, .pale { color: #eee } .blue { color: #ddd } }
        </style>
        <main><h1>Page</h1>
        <p>Pale</p><table><tr><td>1<td><a href="#a"></a><tr><td>2<td><a href="#a"></a>
        <tr><td class="pale">Pale, too</table>
        <p>A text in which <a class="blue" href="#b">a link</a> can hardly be told from it.</p>
        <img src="none.png"><img src="http://elsewhere.invalid/a.png" alt="a">
        <div style="width: 600px">Wide</div></main><script>console.error("said")</script>''',
        encoding="utf-8",
    )
    with browser.chromium() as chromium:
        found = "\n".join(browser.problems(tmp_path, chromium))
    for wrong in (
        "page.html: light: critical: image-alt: img[src$=\"none.png\"]",
        "page.html: dark: serious: color-contrast: p",
        "page.html: dark: serious: color-contrast: .pale",
        "page.html: light: serious: link-name: tr:nth-child(1) > td:nth-child(2) > a",
        "page.html: light: serious: link-name: tr:nth-child(2) > td:nth-child(2) > a",
        "page.html: dark: serious: link-in-text-block: .blue",
        "page.html: 404: http://127.0.0.1",
        "page.html: asks http://elsewhere.invalid/a.png",
        "page.html: said",
        "px wide at 390 px",
    ):
        assert wrong in found, found
    assert "light: serious: color-contrast" not in found and "at 1280 px" not in found


def rename(file: Path, *columns: str) -> None:
    """Gives the values of text columns hostile names; as many as there were, missing ones kept."""
    frame = pd.read_csv(file, dtype=str)
    for column in columns:
        old = sorted(frame[column].dropna().unique())
        new = [f"{HOSTILE[i % len(HOSTILE)]}{i // len(HOSTILE) or ''}" for i in range(len(old))]
        frame[column] = frame[column].map(dict(zip(old, new, strict=True)))
    frame.to_csv(file, index=False)


def values_are_text(site: Path) -> None:
    """Hostile names stand on the pages as they are, and do nothing there or in the CSV."""
    told = ""
    for name in ("mooc-segmentation", "customer-analytics"):
        main = page(site, f"chapters/{name}.html").find("main")
        assert not [s for s in main.find_all("script") if "alert" in s.get_text()]
        told += main.get_text(" ")
        for file in (site / "chapters" / f"{name}_files").rglob("*.csv"):
            with file.open(encoding="utf-8", newline="") as lines:
                cells = {cell for line in csv.reader(lines) for cell in line}
            assert not [cell for cell in cells if cell.startswith(("=", "@"))], file.name
    for value in HOSTILE:
        assert value in told, value
    assert (site / "customer-analytics.pdf").read_bytes().startswith(b"%PDF")


def test_other_tables_give_other_conclusions(site, copy, tmp_path):
    """With the quarters exchanged, what rose has fallen; with the paywalls, the other one wins.

    Courses, channels, occupations and products have names that mean something to some format.
    The last test, since it builds the site anew. Four studies are on small tables, and one has none
    and falls back.
    """
    head, *students = (copy / "data" / "engagement" / "students.csv").read_text().splitlines()
    swapped = head.replace("_21", "_xx").replace("_22", "_21").replace("_xx", "_22")
    (tmp_path / "engagement").mkdir()
    some = [s for i, s in enumerate(students) if i % 8 == 0 or s.split(",")[2] == "1"]
    (tmp_path / "engagement" / "students.csv").write_text("\n".join([swapped, *some]))
    for study, seed, scale in (("customers", 12, 0.25), ("mooc", 11, 0.05), ("trialers", 11, 0.1)):
        simulate.write(study, tmp_path, seed=seed, scale=scale)
    paywalls = tmp_path / "customers" / "paywall_test.csv"
    groups = paywalls.read_text().replace(",test,", ",x,").replace(",control,", ",test,")
    paywalls.write_text(groups.replace(",x,", ",control,"))
    rename(tmp_path / "mooc" / "courses.csv", "title", "category")
    rename(tmp_path / "mooc" / "users.csv", "user_occupation", "user_age_group", "referral_channel")
    rename(tmp_path / "mooc" / "events.csv", "referral_source")
    rename(tmp_path / "mooc" / "orders.csv", "channel")
    for table in ("purchases", "paywall_views"):
        rename(tmp_path / "customers" / f"{table}.csv", "sku")
    before = page(site, "chapters/engagement.html").get_text(" ")
    run("render", "book", "--engine", "embedded", cwd=copy, BOOK_DATA=str(tmp_path))
    after = page(site, "chapters/engagement.html").get_text(" ")
    rose, fell = "mean of paying students rose", "mean of paying students did not rise: it fell"
    assert rose in before and fell not in before
    assert fell in after and rose not in after
    assert "The mean of free-plan students rose" in after
    assert str(tmp_path) in after.replace("\\", "")
    assert "synthetic" not in after
    notebook = (site / "notebooks" / "engagement.ipynb").read_text("utf-8")
    assert "The mean of free-plan students rose" in notebook and rose not in notebook
    app = page(site, "chapters/customer-analytics.html").get_text(" ")
    assert "Keep the old paywall" in app and "Give the new paywall to everybody" not in app
    for chapter in ("mooc-segmentation", "trialer-ab-test"):
        said = page(site, f"chapters/{chapter}.html").get_text(" ")
        assert str(tmp_path) in said.replace("\\", "") and "synthetic" not in said
    marked = {file.stem for file in (site / "chapters").glob("*.html")
              if page(site, f"chapters/{file.name}").find(class_="callout-warning")}
    assert marked == {"netflix-churn", "claims"}
    for several in ("chapters/claims.html", "index.html"):
        (box,) = page(site, several).find_all(class_="callout-warning")
        assert "no tables for Netflix; what this page says of it" in box.get_text()
    banner = page(site, "chapters/netflix-churn.html").find(class_="callout-warning")
    assert banner.find_next(class_="answer") and not banner.find_previous("h2", id=True)
    assert "this chapter is shown on the shipped ones" in banner.get_text()
    values_are_text(site)
    front = " ".join(page(site, "index.html").get_text(" ").split())
    assert "The old paywall should stay" in front and f"made from {tmp_path}" in front
