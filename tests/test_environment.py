"""The files of the environment agree, and `make` builds it whatever happened before."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
CI = (ROOT / ".ci/run").read_text()
# The names that other people and tools call, besides those of tables and studies; a target outside
# this list needs a reason.
TARGETS = {
    "setup",
    "test",
    "check",
    "smoke",
    "studies",
    "report",
    "wandb-report",
    "bench",
    "clean",
    "demo",
    "docs",
    "fonts",
    "help",
    "reproduce-appendix",
}

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def requirements(extra: str | None = None) -> dict[str, Requirement]:
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def direct() -> dict[str, Requirement]:
    return requirements() | requirements("experiments") | requirements("dev")


def pins(lines: list[str]) -> dict[str, str]:
    matches = [re.match(r"([\w.-]+)==(\S+)$", line.strip()) for line in lines]
    return {canonicalize_name(match[1]): match[2] for match in matches if match}


def constraints() -> dict[str, str]:
    return pins((ROOT / "constraints.txt").read_text().splitlines())


def conda_pip_lines() -> list[str]:
    return next(item["pip"] for item in CONDA["dependencies"] if isinstance(item, dict))


def make(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs make as from a fresh shell: what an outer `make test` was told must not reach it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    for variable in ("RECIPE", "SEEDS", "JOBS", "LOGGER", "PYTHON", "PIP_ARGS", "COLUMNS"):
        clean.pop(variable, None)
    command = ["make", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=clean | environment, capture_output=True, text=True, timeout=60
    )


class TestVersions:
    def test_the_layer_needs_nothing_but_torch(self) -> None:
        assert set(requirements()) == {"torch"}

    def test_every_constraint_is_an_exact_pin(self) -> None:
        lines = (ROOT / "constraints.txt").read_text().splitlines()
        assert len(constraints()) == sum(not line.startswith("#") for line in lines)

    def test_every_direct_dependency_is_pinned_within_its_range(self) -> None:
        versions = constraints()
        needs = direct() | requirements("scale")
        assert set(needs) <= set(versions)
        outside = [n for n, need in needs.items() if not need.specifier.contains(versions[n])]
        assert outside == []

    def test_conda_environment_has_the_same_pins(self) -> None:
        assert pins(conda_pip_lines()) == {name: constraints()[name] for name in direct()}
        assert "--constraint constraints.txt" in conda_pip_lines()
        assert "--editable .[experiments,dev]" in conda_pip_lines()

    def test_one_range_of_pythons(self) -> None:
        supported = SpecifierSet(PROJECT["requires-python"])
        conda = [str(item) for item in CONDA["dependencies"]]
        assert SpecifierSet(next(i for i in conda if i.startswith("python"))[6:]) == supported
        makefile = (ROOT / "Makefile").read_text()
        bounds = re.search(r"\(3, (\d+)\) <= sys.version_info\[:2\] <= \(3, (\d+)\)", makefile)
        assert bounds is not None
        served = [minor for minor in range(30) if supported.contains(f"3.{minor}")]
        assert served == list(range(int(bounds[1]), int(bounds[2]) + 1))


@needs_make
class TestMakefile:
    def test_help_is_the_default_and_lists_every_target(self) -> None:
        phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert phony is not None
        public = {name for name in phony[1].split() if not name.startswith(".")}
        assert public <= TARGETS
        public |= {f"reproduce-{path.stem}" for path in (ROOT / "conf/table").glob("*.yaml")}
        public |= {f"study-{path.stem}" for path in (ROOT / "conf/study").glob("*.yaml")}
        assert set(re.findall(r"^  ([a-z0-9_-]+) +\S", make().stdout, re.MULTILINE)) == public

    def test_help_lists_every_variable(self) -> None:
        listed = set(re.findall(r"^  ([A-Z_]+) +\S", make("help").stdout, re.MULTILINE))
        settable = set(re.findall(r"^([A-Z_]+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert listed == settable | {"COLUMNS"}

    def test_the_readme_names_targets_that_exist(self) -> None:
        readme = (ROOT / "README.md").read_text()
        named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9_-]+)", readme, re.MULTILINE))
        assert named <= set(re.findall(r"^  ([a-z0-9_-]+) +\S", make().stdout, re.MULTILINE))

    def test_ci_runs_the_test_command_of_the_readme(self) -> None:
        assert re.search(r"^make check$", CI, re.MULTILINE)
        tests = [line for line in make("-n", "test").stdout.splitlines() if "pytest" in line]
        assert tests
        assert set(tests) <= set(make("-n", "check").stdout.splitlines())

    def test_a_terminal_width_is_not_a_choice_of_columns(self) -> None:
        assert "table.only" not in make("-n", "reproduce-table1", COLUMNS="120").stdout
        assert "'table.only=[R,RTS]'" in make("-n", "reproduce-table1", "COLUMNS=R,RTS").stdout

    def test_a_study_has_the_seeds_of_its_file_unless_told_otherwise(self) -> None:
        said = make("-n", "study-priors").stdout
        assert "-m +study=priors recipe=quick" in said
        assert "seeds" not in said
        assert make("-n", "study-priors", "SEEDS=5").stdout.count("study.seeds=5") == 3

    def test_the_launcher_is_a_choice(self) -> None:
        assert (
            "launcher=joblib hydra.launcher.n_jobs=3"
            in make("-n", "reproduce-table1", "JOBS=3").stdout
        )
        choice = ("LAUNCHER=submitit_slurm", "LAUNCHER_ARGS=hydra.launcher.partition=cpu")
        said = make("-n", "reproduce-table1", *choice).stdout
        assert "hydra/launcher=submitit_slurm" in said
        assert "hydra.launcher.partition=cpu" in said
        assert "n_jobs" not in said

    def test_smoke_is_table_1_with_the_smoke_recipe(self) -> None:
        assert "recipe=smoke" in make("-n", "smoke", "RECIPE=paper").stdout


STUB = """#!/bin/sh
case "$1 $2" in
"-m venv") echo venv >> log; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip") echo pip >> log; if [ -e fail ]; then exit 1; fi ;;
*) PYTHONPATH=src exec '{python}' "$@" ;;
esac
"""


@needs_make
class TestSetup:
    """With a stub for Python, which writes into `log` what it was asked to install."""

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        folder = tmp_path / "a checkout"
        (folder / "src/stn").mkdir(parents=True)
        (folder / "src/stn/__init__.py").touch()
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
        stub = folder / "python stub"
        stub.write_text(STUB.format(python=sys.executable))
        stub.chmod(0o755)
        return folder

    @staticmethod
    def setup(checkout: Path) -> tuple[int, list[str]]:
        log = checkout / "log"
        log.unlink(missing_ok=True)
        code = make("setup", cwd=checkout, PYTHON=str(checkout / "python stub")).returncode
        return code, log.read_text().split() if log.exists() else []

    def test_builds_once(self, checkout: Path) -> None:
        assert self.setup(checkout) == (0, ["venv", "pip"])
        assert self.setup(checkout) == (0, [])

    def test_installs_again_where_the_versions_changed(self, checkout: Path) -> None:
        self.setup(checkout)
        os.utime(checkout / ".venv/.installed", (1, 1))
        assert self.setup(checkout) == (0, ["pip"])

    def test_an_interrupted_set_up_is_built_anew(self, checkout: Path) -> None:
        self.setup(checkout)
        (checkout / ".venv/.installed").rename(checkout / ".venv/.installing")
        (checkout / ".venv/half").touch()
        assert self.setup(checkout) == (0, ["venv", "pip"])
        assert not (checkout / ".venv/half").exists()

    def test_a_broken_python_is_built_anew(self, checkout: Path) -> None:
        self.setup(checkout)
        (checkout / ".venv/bin/python").unlink()
        assert self.setup(checkout) == (0, ["venv", "pip"])

    def test_a_failed_first_installation_is_built_anew(self, checkout: Path) -> None:
        (checkout / "fail").touch()
        assert self.setup(checkout) == (2, ["venv", "pip"])
        (checkout / "fail").unlink()
        assert self.setup(checkout) == (0, ["venv", "pip"])

    def test_a_failed_update_keeps_the_environment(self, checkout: Path) -> None:
        self.setup(checkout)
        os.utime(checkout / ".venv/.installed", (1, 1))
        (checkout / "fail").touch()
        assert self.setup(checkout) == (2, ["pip"])
        (checkout / "fail").unlink()
        assert self.setup(checkout) == (0, ["pip"])

    @pytest.mark.parametrize("python", ["", "no-such-python", "false"])
    def test_an_unsuitable_python_is_named_with_what_to_do(
        self, checkout: Path, python: str
    ) -> None:
        result = make("setup", f"PYTHON={python}", cwd=checkout)
        assert result.returncode != 0
        assert "3.11, 3.12 or 3.13" in result.stderr
        assert python in result.stderr
        assert not (checkout / ".venv").exists()


LOGS = """#!/bin/sh
for argument in "$0" "$@"; do printf '<%s>' "$argument" >> "$LOG"; done
echo >> "$LOG"
case "$(basename "$0") $1" in "apt-get download") touch "a b.deb";; esac
"""


@needs_make
@pytest.mark.parametrize("target", sorted({*TARGETS, "reproduce-table1", "study-priors"}))
def test_every_target_gives_the_same_commands_where_paths_have_spaces(
    tmp_path: Path, target: str
) -> None:
    """With stubs for Python, apt-get and dpkg, which write down their arguments one by one."""
    said = []
    for name in ("plain", "it has spaces"):
        folder = tmp_path / name
        checkout, log = folder / "checkout", folder / "log"
        (checkout / ".venv/bin").mkdir(parents=True)
        for part in ("Makefile", "pyproject.toml", "constraints.txt", "conf"):
            (checkout / part).symlink_to(ROOT / part)
        for part in ("src", "tests", "benchmarks"):
            (checkout / part).mkdir()
        for stub in (checkout / ".venv/bin/python", folder / "apt-get", folder / "dpkg"):
            stub.write_text(LOGS)
            stub.chmod(0o755)
        environment = {f"STN_{of}_DIR": str(folder / of) for of in ("DATA", "RUNS", "REPORTS")}
        environment |= {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(log)}
        python = f"PYTHON={checkout}/.venv/bin/python"
        done = make(target, python, cwd=checkout, **environment)
        assert done.returncode == 0, done.stderr
        logged = log.read_text() if log.exists() else ""
        said.append((logged + done.stdout).replace(str(folder), ""))
    assert said[0] == said[1]
    if target not in ("help", "clean"):
        assert (
            "/.venv/bin/python><-m>" in said[0].replace("<.venv", "</.venv")
            or "/apt-get><download>" in said[0]
        )


# Written so that this file does not find itself.
HOSTS = r"(?:pypi|pythonhosted|anaconda|debian|download\.pytorch)\.org|npmjs\.|lecun\.com"
MACHINE_PATHS = r"(?<![\w.~-])/(?:root|home|Users|work|tmp)/\w"


def test_no_committed_file_names_a_registry_host_or_a_path_of_one_machine() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    hosts, both = re.compile(HOSTS.encode()), re.compile(f"{HOSTS}|{MACHINE_PATHS}".encode())
    names = [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    found = {
        name: match[0]
        for name in names  # tests make up paths
        if (
            match := (hosts if name.startswith("tests/") else both).search(
                (ROOT / name).read_bytes()
            )
        )
    }
    assert found == {}
