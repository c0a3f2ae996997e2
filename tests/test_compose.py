"""docker-compose.yml and its Dockerfile: pinned, closed, unprivileged, and the same processes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.environment import QUIET, ROOT
from deploy.local.health import CHECKS
from ingest_api.settings import Settings
from orchestration.settings import OrchestrationSettings

SECRETS = {"POSTGRES_PASSWORD": "secret1", "REDIS_PASSWORD": "secret2"}
ONE_SHOTS = {"migrate"}
SERVICES_OF_OTHERS = {"postgres", "redis"}
PINNED = re.compile(r"^[a-z0-9./_-]+:v?\d+\.\d+(\.\d+)?[\w.-]*$")
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?:(?P<kind>:[?-])(?P<word>[^}]*))?\}")


def interpolated(node: Any) -> Any:
    """A parsed document as compose reads it with nothing but `SECRETS` set."""
    if isinstance(node, dict):
        return {key: interpolated(value) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value) for value in node]
    return VARIABLE.sub(_value, node) if isinstance(node, str) else node


def _value(match: re.Match[str]) -> str:
    return match["word"] if match["kind"] == ":-" else SECRETS[match["name"]]


TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = interpolated(yaml.safe_load(TEXT))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(set(SERVICES) - SERVICES_OF_OTHERS)
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
every_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_of_ours = pytest.mark.parametrize("name", OURS)


def procfile_processes() -> set[str]:
    lines = (ROOT / "deploy" / "local" / "Procfile").read_text().splitlines()
    return {line.split(":", 1)[0] for line in lines if line and not line.startswith("#")}


def test_the_long_running_services_are_the_processes_of_the_procfile() -> None:
    assert set(SERVICES) - ONE_SHOTS == procfile_processes()


@every_service
def test_a_service_has_a_health_check_or_ends_by_itself(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOTS:
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@each_of_ours
def test_our_health_checks_name_a_check_that_exists(name: str) -> None:
    if name not in ONE_SHOTS:
        assert SERVICES[name]["healthcheck"]["test"][-2:] == ["deploy.docker.health", name]
        assert name in CHECKS


@every_service
def test_a_service_starts_only_after_what_it_needs(name: str) -> None:
    for needed, rule in SERVICES[name].get("depends_on", {}).items():
        expected = "completed_successfully" if needed in ONE_SHOTS else "healthy"
        assert rule["condition"] == f"service_{expected}"


@every_service
def test_images_are_pinned(name: str) -> None:
    assert PINNED.match(SERVICES[name]["image"])
    assert "latest" not in SERVICES[name]["image"]


@every_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@every_service
def test_a_service_runs_without_root_and_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["user"].split(":")[0] not in {"", "0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")


@every_service
def test_a_service_writes_only_to_volumes_and_memory(name: str) -> None:
    assert SERVICES[name]["read_only"] is (name != "code_server")
    for volume in SERVICES[name].get("volumes", []):
        source, _, target = volume.partition(":")
        assert source in COMPOSE["volumes"] or target.endswith(":ro")


def test_mounted_files_exist() -> None:
    mounts = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert files
    assert all((ROOT / file).is_file() for file in files)


def test_secrets_have_no_default() -> None:
    found = {(match["name"], match["kind"]) for match in VARIABLE.finditer(TEXT)}
    assert {name for name, kind in found if kind == ":?"} == set(SECRETS)
    assert not {name for name, kind in found if kind != ":?"} & set(SECRETS)
    assert not [name for name, kind in found if kind is None]


@pytest.mark.parametrize("model", [Settings, OrchestrationSettings])
@each_of_ours
def test_each_process_gets_every_setting_that_it_needs(model, name: str, monkeypatch) -> None:
    environment = SERVICES[name]["environment"]
    for field, info in model.model_fields.items():
        variable = info.validation_alias or f"LLMSCOPE_{field.upper()}"
        assert not info.is_required() or environment[variable]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = model()
    assert settings.home == Path(environment["LLMSCOPE_HOME"])


@each_of_ours
def test_nothing_reports_to_anyone(name: str) -> None:
    assert QUIET.items() <= SERVICES[name]["environment"].items()
    assert SERVICES["postgres"]["environment"]["TIMESCALEDB_TELEMETRY"] == "off"


def test_the_ports_inside_agree_with_what_is_published() -> None:
    environment = SERVICES["api"]["environment"]
    assert SERVICES["api"]["ports"][0].endswith(f":{environment['LLMSCOPE_API_PORT']}")
    assert SERVICES["webserver"]["ports"][0].endswith(f":{environment['LLMSCOPE_DAGSTER_PORT']}")
    assert environment["LLMSCOPE_DAGSTER_PORT"] in SERVICES["webserver"]["command"]
    assert environment["LLMSCOPE_CODE_SERVER_PORT"] in SERVICES["code_server"]["command"]
    assert environment["LLMSCOPE_CODE_SERVER_HOST"] == "code_server"


def test_the_build_stages_are_pinned_and_end_without_root() -> None:
    stages: set[str] = set()
    for image, stage in re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE):
        assert image in stages or PINNED.match(image)
        stages.add(stage)
    assert {SERVICES[name]["build"]["target"] for name in OURS} <= stages
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"


def test_the_images_install_what_is_locked_and_name_no_index() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert "npm ci" in DOCKERFILE
    assert "://" not in DOCKERFILE
    assert "index-url" not in DOCKERFILE


def test_what_the_images_copy_is_let_through_and_nothing_secret_is() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    folders = {path.split("/")[0] for line in copied for path in line.split()}
    assert folders == allowed
    assert "**/.env" in ignored
