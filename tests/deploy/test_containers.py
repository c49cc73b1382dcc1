"""What the examples for containers say agrees with what the app does, and with each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from resilience.defaults import SETTINGS
from zenow.settings.resilience import RESILIENCE

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
FOLDERS = {"RESILIENCE_DIR", "STATIC_DIR", "RESILIENCE_EVENTS_DIR"}


@pytest.fixture(scope="module")
def kinds() -> dict[str, Any]:
    found = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    return {each["kind"]: each for each in found}


@pytest.fixture(scope="module")
def pod(kinds: dict[str, Any]) -> Any:
    return kinds["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def app(pod: Any) -> Any:
    (only,) = pod["containers"]
    return only


@pytest.fixture(scope="module")
def variables(app: Any) -> dict[str, str]:
    return {each["name"]: each["value"] for each in app["env"]}


class TestImage:
    def test_is_built_of_files_that_are_there_and_not_ignored(self) -> None:
        copied = [
            name for names in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M) for name in names.split()
        ]
        ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        assert ignored[0] == "*"
        assert copied
        assert [name for name in copied if f"!{name}" not in ignored] == []
        assert [name for name in copied if not (DEPLOY.parent / name).exists()] == []

    def test_has_all_files_of_the_requirements_when_it_installs_them(self) -> None:
        before = DOCKERFILE.partition("RUN pip install")[0]
        requirements = (DEPLOY.parent / "requirements.txt").read_text()
        assert [name for name in re.findall(r"^-[rc] (\S+)$", requirements, re.M) if name not in before] == []


class TestKubernetes:
    def test_mounts_a_volume_for_each_folder_on_a_read_only_root(
        self, app: Any, pod: Any, variables: dict[str, str]
    ) -> None:
        assert app["securityContext"]["readOnlyRootFilesystem"]
        mounts = {each["mountPath"]: each["name"] for each in app["volumeMounts"]}
        for name in FOLDERS:
            assert any(variables[name].startswith(path) for path in mounts), name
        assert "/tmp" in mounts  # noqa: S108
        volumes = {each["name"]: each["emptyDir"] for each in pod["volumes"]}
        assert set(mounts.values()) == set(volumes)
        assert volumes[mounts[variables["RESILIENCE_DIR"]]]["medium"] == "Memory"

    def test_runs_as_the_user_of_the_image(self, pod: Any) -> None:
        assert pod["securityContext"]["runAsUser"] == int(re.findall(r"^USER (\d+)$", DOCKERFILE, re.M)[0])

    def test_asks_the_addresses_that_answer_probes(self, app: Any) -> None:
        paths = {name: SETTINGS[name].default for name in ("LIVENESS_PATH", "READINESS_PATH")} | RESILIENCE
        assert app["livenessProbe"]["httpGet"]["path"] == paths["LIVENESS_PATH"]
        assert app["startupProbe"]["httpGet"]["path"] == paths["LIVENESS_PATH"]
        assert app["readinessProbe"]["httpGet"]["path"] == paths["READINESS_PATH"]

    def test_waits_for_the_end_of_a_drain(self, pod: Any, app: Any, variables: dict[str, str]) -> None:
        drain = int(variables["DRAIN_SECONDS"])
        assert pod["terminationGracePeriodSeconds"] >= 2 * drain + 10
        probe = app["readinessProbe"]
        assert drain > probe["periodSeconds"] * probe["failureThreshold"]

    def test_names_the_same_pods_everywhere(self, kinds: dict[str, Any], app: Any) -> None:
        spec = kinds["Deployment"]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert kinds["Service"]["spec"]["selector"] == spec["selector"]["matchLabels"] == labels
        assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
        assert kinds["Service"]["spec"]["ports"][0]["targetPort"] == app["ports"][0]["name"]


class TestCompose:
    def test_gives_the_store_to_the_user_of_the_image_and_the_end_of_a_drain_its_time(self) -> None:
        compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
        user = re.findall(r"^USER (\d+)$", DOCKERFILE, re.M)[0]
        assert f"uid={user}" in compose["volumes"]["resilience"]["driver_opts"]["o"]
        seconds = int(compose["services"]["app"]["stop_grace_period"].removesuffix("s"))
        assert seconds >= 2 * 5 + 10
