"""The deployment files agree with the service and with each other: settings, files, versions, ports, paths, times."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest

from app import create_app
from app.server.serve import grace_seconds
from app.settings import SETTINGS
from app.version import VERSION
from tests.deploy import files
from tests.deploy.files import COMPOSE, DEPLOY, OBJECTS, ROOT, UNIT
from tests.offline_settings import OFFLINE_SETTINGS
from tests.pythons import VERSIONS

pytestmark = pytest.mark.nodatabase

NAMES = {row.name for row in SETTINGS}
# Variables of CouchDB's own image.
OF_COUCHDB = {"COUCHDB_USER", "COUCHDB_PASSWORD"}
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())
PATHS = {rule.rule for rule in create_app(OFFLINE_SETTINGS).flask.url_map.iter_rules()}
PORT = str(OFFLINE_SETTINGS.port)
POD: dict[str, Any] = files.of_kind("Deployment")["spec"]["template"]["spec"]
JOB: dict[str, Any] = files.of_kind("Job")["spec"]["template"]["spec"]
[APP], [DEPLOY_VIEWS] = POD["containers"], JOB["containers"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_names_only_settings_that_exist(file: Path) -> None:
    named = set(re.findall(r"\b(?:DREAMSCRIPT|COUCHDB)_[A-Z_]+\b", file.read_text()))
    assert named <= NAMES | OF_COUCHDB


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_names_only_files_that_exist(file: Path) -> None:
    named = re.findall(r"\b(?:deploy|docs|app|couchapp|design_docs)/[\w./-]+\.\w+", file.read_text())
    made_by_operators = {"deploy/service.env", "deploy/admin.env"}
    assert [name for name in named if name not in made_by_operators and not (ROOT / name).exists()] == []


def test_every_file_is_documented() -> None:
    pages = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    assert [file.name for file in FILES if f"deploy/{file.name}" not in pages and file.suffix != ".dockerignore"] == []


@pytest.mark.parametrize("file", files.ENV_FILES)
def test_an_env_file_has_no_secret_and_parses(file: str) -> None:
    values = files.variables(file)
    given = {name: value for name, value in values.items() if name in NAMES and value}
    for row in SETTINGS:
        row.read(given)
    assert "DREAMSCRIPT_SECRET_KEY" not in given
    assert all("CHANGE-THIS" in value for name, value in values.items() if "URL" in name or "PASSWORD" in name)


def test_env_files_are_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deploy/service.env", "deploy/admin.env", "deploy/tls/", "deploy/acme/"} <= set(ignored)


def test_the_version_is_the_same_everywhere() -> None:
    images = [
        COMPOSE["services"]["app"]["image"],
        COMPOSE["services"]["deploy-views"]["image"],
        *(container["image"] for container in (APP, DEPLOY_VIEWS)),
        *re.findall(r"--tag (\S+)", files.DOCKERFILE),
    ]
    assert {image.split("/")[-1] for image in images} == {f"dreamscript-database:{VERSION}"}
    assert files.of_kind("Job")["metadata"]["name"].endswith(VERSION)


def test_other_images_have_a_version_and_couchdb_that_of_the_tests() -> None:
    images = [text.split()[0] for name, text in files.instructions() if name == "FROM"]
    images += [service["image"] for service in COMPOSE["services"].values()]
    assert all(re.search(r":\d+\.\d+", image) for image in images)
    assert COMPOSE["services"]["couchdb"]["image"] == files.DEVELOPMENT_COMPOSE["services"]["couchdb"]["image"]
    assert (
        COMPOSE["services"]["couchdb"]["entrypoint"] == files.DEVELOPMENT_COMPOSE["services"]["couchdb"]["entrypoint"]
    )


def test_the_port_is_the_same_everywhere() -> None:
    environment = files.environment()
    assert environment["DREAMSCRIPT_PORT"] == PORT
    assert ("EXPOSE", PORT) in files.last_stage()
    assert f"server 127.0.0.1:{PORT};" in files.NGINX
    assert f"server app:{PORT};" in COMPOSE["services"]["nginx"]["command"][2]
    assert [port["containerPort"] for port in APP["ports"]] == [int(PORT)]
    assert f'"{PORT}"' in (DEPLOY / "healthcheck.py").read_text()


def test_the_image_is_built_of_a_tested_python_and_pinned_wheels() -> None:
    bases = {text.split()[0] for name, text in files.instructions() if name == "FROM"}
    assert len(bases) == 1
    [version] = {re.sub(r"^python:([\d.]+)-slim-\w+$", r"\1", base) for base in bases}
    assert version in VERSIONS
    assert "--only-binary :all:" in files.DOCKERFILE
    assert "--constraint constraints.txt" in files.DOCKERFILE


def test_the_image_runs_without_rights_and_has_no_tools() -> None:
    stage = files.last_stage()
    [user] = [text for name, text in stage if name == "USER"]
    assert re.fullmatch(r"([1-9]\d*):\1", user)
    assert stage.index(("USER", user)) > max(at for at, (name, _) in enumerate(stage) if name in ("RUN", "COPY"))
    assert "apt" not in files.DOCKERFILE
    assert any("pip uninstall" in text for name, text in stage if name == "RUN")
    assert APP["securityContext"]["runAsUser"] == int(user.split(":")[0])


def test_the_health_check_asks_for_a_path_that_exists() -> None:
    [check] = [text for name, text in files.last_stage() if name == "HEALTHCHECK"]
    assert json.loads(check.partition("CMD ")[2]) == ["python", "deploy/healthcheck.py"]
    paths = re.findall(r'request\("GET", "(.+)"\)', (DEPLOY / "healthcheck.py").read_text())
    assert paths == ["/livez"]
    assert set(paths) <= PATHS


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A folder with the files that the image has."""
    for source, target in files.copied():
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / source, tmp_path / target, ignore=ignored)
        else:
            shutil.copy(ROOT / source, tmp_path / target)
    return tmp_path


def run(image: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the image's entry point, and nothing else of the project."""
    [entry] = [json.loads(text) for name, text in files.last_stage() if name == "ENTRYPOINT"]
    command = [sys.executable, *entry[1:], *arguments]
    return subprocess.run(command, cwd=image, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_the_files_of_the_image_are_enough_for_its_commands(image: Path) -> None:
    [default] = [json.loads(text) for name, text in files.last_stage() if name == "CMD"]
    refused = run(image, *default)
    assert refused.returncode == 2
    assert "COUCHDB_URL" in refused.stderr
    for command in (("app", "keys", "list"), ("couchapp", "status"), ("couchapp", "user")):
        failed = run(image, *command, COUCHDB_URL="http://u:p@127.0.0.1:1", COUCHDB_ADMIN_URL="http://a:p@127.0.0.1:1")
        assert "Traceback" not in failed.stderr
        assert failed.returncode in (1, 2)


def test_the_health_check_fails_without_a_service(image: Path) -> None:
    command = [sys.executable, "deploy/healthcheck.py"]
    failed = subprocess.run(
        command, cwd=image, env={"DREAMSCRIPT_PORT": "1"}, capture_output=True, text=True, check=False, timeout=60
    )
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr


def test_compose_is_valid() -> None:
    compose = compose_spec.PyCompose.from_json(json.dumps(COMPOSE))
    compose.validate()
    for name, service in COMPOSE["services"].items():
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"]), name


def test_every_file_that_compose_mounts_exists_or_is_made_by_the_operator() -> None:
    mounts = [volume.split(":")[0] for service in COMPOSE["services"].values() for volume in service.get("volumes", ())]
    local = {mount for mount in mounts if mount.startswith("./")}
    assert {mount for mount in local if not (DEPLOY / mount).exists()} <= {"./tls", "./acme"}
    env_files = {file for service in COMPOSE["services"].values() for file in service.get("env_file", ())}
    assert {f"{file}.example" for file in env_files} == set(files.ENV_FILES)


def test_only_nginx_is_published_and_the_service_gets_no_administrator() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["nginx"]
    assert COMPOSE["services"]["app"]["env_file"] == ["service.env"]
    assert not {"COUCHDB_ADMIN_URL", *OF_COUCHDB} & set(files.variables("service.env.example"))
    assert [source["secretRef"]["name"] for source in APP["envFrom"]] == ["dreamscript"]


@pytest.mark.parametrize("described", OBJECTS, ids=lambda described: described["kind"])
def test_an_object_of_kubernetes_is_valid(described: dict[str, Any]) -> None:
    kubernetes_validate.validate(described, "1.37", strict=True)


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_probe_asks_for_a_path_that_exists(probe: str) -> None:
    assert APP[probe]["httpGet"]["path"] in PATHS
    assert APP[probe]["httpGet"]["port"] in {port["name"] for port in APP["ports"]}


@pytest.mark.parametrize("pod", [POD, JOB], ids=["Deployment", "Job"])
def test_no_variable_of_kubernetes_is_taken_for_a_setting(pod: dict[str, Any]) -> None:
    """A Service named dreamscript gives pods a DREAMSCRIPT_PORT (Kubernetes's documentation of services)."""
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("container", [APP, DEPLOY_VIEWS], ids=lambda container: container["name"])
def test_a_container_runs_without_rights_on_a_read_only_file_system(container: dict[str, Any]) -> None:
    context = container["securityContext"]
    assert (context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_everybody_waits_longer_than_the_service_takes_to_end() -> None:
    needed = grace_seconds(OFFLINE_SETTINGS)
    [pause] = re.findall(r"sleep\((\d+)\)", APP["lifecycle"]["preStop"]["exec"]["command"][2])
    assert POD["terminationGracePeriodSeconds"] > int(pause) + needed
    assert int(files.directive("TimeoutStopSec")) > needed
    assert int(COMPOSE["services"]["app"]["stop_grace_period"].rstrip("s")) > needed


def test_the_unit_runs_the_command_for_production() -> None:
    assert files.directive("ExecStart").endswith("/.venv/bin/python -m app serve")
    assert files.directive("ExecStart").startswith(files.directive("WorkingDirectory"))
    assert files.directive("User") != "root"
    # Status 2 is that of wrong settings (app/cli/main.py).
    assert files.directive("RestartPreventExitStatus") == "2"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "dreamscript.service"
    unit.write_text(UNIT.replace("/opt/dreamscript/current/.venv/bin/python", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert verified.stderr == ""
    assert verified.returncode == 0
