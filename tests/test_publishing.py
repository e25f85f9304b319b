"""What the documents and workflows name exists, so that no instruction is out of date."""

import ast
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import duckdb
import pytest
import yaml

from analysis import __main__ as cli
from analysis.contracts import CONTRACTS
from analysis.report import own_data
from analysis.sources import check_study
from render import engine, qmd

ROOT = Path(__file__).resolve().parents[1]
GUIDE = "chapters/your-data.qmd"
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "RELEASING.md", GUIDE]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# Studies and folders of which an example says that one may make them.
EXAMPLES = {"newsletters": "netflix"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def code(text):
    """Every code span and every line of a code block of a document, comments left out."""
    fence = re.compile(r"^ *```(.*?)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
    blocks = [body for info, body in fence.findall(text) if info in ("", "sh")]
    prose = fence.sub("", text)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose)
    return [re.sub(r"\s#.*", "", line) for line in (*"\n".join(blocks).splitlines(), *spans)]


def targets():
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def commands(name):
    """The calls of `python -m analysis` in a document, as arguments."""
    for line in code(read(name)):
        if match := re.search(r"python -m analysis ([a-z].*)", line):
            arguments = shlex.split(match[1].split(" > ")[0])
            yield [EXAMPLES.get(word, word) for word in arguments]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_named_exists(name):
    named = {match for line in code(read(name)) for match in re.findall(r"\bmake ([a-z]+)", line)}
    assert named and named <= targets()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_named_can_be_parsed(name):
    found = list(commands(name))
    assert found
    for arguments in found:
        if len(arguments) == 1 or "STUDY" in arguments:  # only named
            with pytest.raises(SystemExit) as leaving:
                cli._parser().parse_args([arguments[0], "--help"])
            assert leaving.value.code == 0
            continue
        options = cli._parser().parse_args(arguments)
        assert set(getattr(options, "studies", [])) <= set(CONTRACTS), arguments


def test_every_line_of_python_named_calls_what_exists():
    lines = [match[1] for name in DOCUMENTS for line in code(read(name))
             if (match := re.search(r'python -c "(.*)"', line))]
    assert len(lines) == 2
    for line in lines:
        for node in ast.walk(ast.parse(line)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert hasattr(importlib.import_module(node.value.id), node.attr), line


@pytest.mark.parametrize("name", DOCUMENTS[:3])
def test_every_file_linked_or_named_exists(name):
    text = read(name)
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    named = re.findall(r"`((?:analysis|chapters|tests|render|bench|\.github)/[\w./-]+)`", text)
    for path in linked + named:
        if not any(f"{example}." in path for example in EXAMPLES):
            assert (ROOT / path).exists(), path


def test_versions_agree():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["authors"] == [{"name": yaml.safe_load(read("_quarto.yml"))["book"]["author"]}]
    quarto = engine.QUARTO.removeprefix("quarto-cli==")
    assert f'version: "{quarto}"' in read(".github/workflows/publish.yml")
    assert f"ARG QUARTO_VERSION={quarto}\n" in read("Dockerfile")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_make_what_exists_and_may_do_no_more_than_they_must(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        if "uses" in job:  # another workflow of the repository, which is looked at by itself
            assert ROOT / job["uses"] in WORKFLOWS
            continue
        assert job["timeout-minutes"] <= 60
        write = {name for name, may in job.get("permissions", {}).items() if may != "read"}
        deploys = any("deploy-pages" in step.get("uses", "") for step in job["steps"])
        assert write == ({"pages", "id-token"} if deploys else set())
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                if line.strip().startswith("make "):
                    assert line.split()[1] in targets()
                for file in re.findall(r"tests/\S+\.py", line):
                    assert (ROOT / file).exists()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_their_version(path):
    used = re.findall(r"uses: (?!\./)(.*)", path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_has_one_version_in_all_workflows():
    used = {}
    for path in WORKFLOWS:
        for name, pin in re.findall(r"uses: ([\w/-]+)@(.*)", path.read_text(encoding="utf-8")):
            used.setdefault(name, set()).add(pin)
    assert all(len(pins) == 1 for pins in used.values()), used


def test_nothing_is_published_that_fails_a_check():
    jobs = yaml.safe_load(read(".github/workflows/publish.yml"))["jobs"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    assert jobs["test"] == {"uses": "./.github/workflows/test.yml"}
    steps = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["test"]["steps"]
    runs = [step.get("run") for step in steps]
    assert runs.index("chromium --version && pdftotext -v") < runs.index("make test")
    assert 'which("chromium")' in read("tests/browser.py")


def test_there_are_both_workflows():
    assert [path.stem for path in WORKFLOWS] == ["publish", "test"]


def test_what_the_container_copies_and_makes_exists():
    text = read("Dockerfile")
    copied = " ".join(re.findall(r"^COPY --chown=\S+ (.*) \S+$", text, re.MULTILINE)).split()
    assert set(copied) > {"requirements.lock", "pyproject.toml", "Makefile"}
    assert all((ROOT / name).exists() for name in copied)
    # Nothing gets into the image but what is named, so that tables of one's own do not.
    first, *named = re.findall(r"^(?:\*|!.+)$", read(".dockerignore"), re.MULTILINE)
    named = {name.removeprefix("!") for name in named}
    assert first == "*" and set(copied) - {"."} <= named
    assert all((ROOT / name).exists() for name in named)
    config = yaml.safe_load(read("_quarto.yml"))
    needed = [*config["book"]["chapters"], *config["book"]["appendices"], *config["filters"],
              config["bibliography"], config["project"]["pre-render"], "404.qmd",
              *config["project"]["resources"]]
    for file in needed:
        assert Path(file).parts[0] in named, file
    # The environment's target is a file of the Makefile, whose name stands there in two parts.
    assert "make .venv/.ready" in text and "READY := $(VENV)/.ready" in read("Makefile")
    # By number, which a cluster that runs nothing as root can check.
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$(?s:.*)^CMD", text, re.MULTILINE)


def test_the_guide_lists_every_table_of_every_contract():
    chapter = qmd.read(ROOT, Path(GUIDE))
    cells = {cell.code for cell in chapter.cells}
    said = {code for block in chapter.blocks if isinstance(block, qmd.Text)
            for code, _ in block.expressions()}
    for study, contract in CONTRACTS.items():
        assert re.search(rf"^\| {study} \|", read(GUIDE), re.MULTILINE)
        for table in contract.tables:
            assert f'own_data.columns("{study}", "{table.name}")' in cells
            assert f'own_data.row("{study}", "{table.name}")' in said


def test_the_guide_s_columns_say_what_the_contract_says():
    columns = own_data.columns("netflix", "subscribers")
    assert len(columns.splitlines()) == 2 + len(CONTRACTS["netflix"].tables[0].columns)
    (age,) = [line for line in columns.splitlines() if line.startswith("| age ")]
    assert "from 0 to 120" in age and "in years" in age and age.split("|")[4].strip() == "no"
    assert "Customer ID" in columns
    views = own_data.columns("customers", "paywall_views")
    assert "one of `and`, `iOS`" in own_data.columns("customers", "users")
    assert "Other headers" not in views and "exactly when purchase" in views
    assert "may be missing" in own_data.row("customers", "releases")
    assert "may be missing" not in own_data.row("customers", "users")


def test_the_guide_s_example_has_the_faults_that_it_shows():
    shown = own_data.check_example()
    for fault in ("column is missing", "maybe", r"1,200", "must be 0 or more", "must not repeat"):
        assert fault in shown
    assert len(shown.splitlines()) == 2 + 5


def test_the_guide_s_view_makes_a_table_that_fits(tmp_path, monkeypatch):
    (sql,) = re.findall(r"^```sql\n(.*?)^```", read(GUIDE), re.MULTILINE | re.DOTALL)
    (tmp_path / "export.csv").write_text(
        "user_no,country,plan,quarter,minutes\n"
        "1,us,pro,2021-Q4,10\n1,us,pro,2021-Q4,5\n1,us,pro,2022-Q4,7\n2,in,free,2022-Q4,3\n"
        "3,us,free,2021-Q4,1\n3,gb,pro,2022-Q4,4\n")
    monkeypatch.chdir(tmp_path)
    duckdb.connect("mine.ddb").execute(sql).close()
    tables, problems = check_study("engagement", "duckdb://mine.ddb")
    assert (problems, tables.shipped) == ([], False)
    found = tables.table("students").order_by("student_id").to_pandas()
    assert found.minutes_watched_21.fillna(-1).tolist() == [15, -1, 1]
    assert found.minutes_watched_22.tolist() == [7, 3, 4]
    assert found.paid.tolist() == [1, 0, 1]
    assert found.student_country.tolist() == ["US", "IN", "GB"]


def test_compiled_parts_have_the_version_of_what_they_speed_up():
    """`sqlglotc` of another version than sqlglot would take the place of its modules."""
    locked = dict(re.findall(r"^(sqlglotc?)==([\d.]+)", read("requirements.lock"), re.MULTILINE))
    assert set(locked) == {"sqlglot", "sqlglotc"} and len(set(locked.values())) == 1
