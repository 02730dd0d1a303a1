"""deploy/kuberay-rayjob.yaml: the fields that the launch relies on, and its entrypoint for this version."""

import importlib.metadata
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from study.cli import main

REPOSITORY = Path(__file__).parents[2]
JOB_FIELDS = {"entrypoint", "submissionMode", "shutdownAfterJobFinishes", "backoffLimit", "rayClusterSpec"}
CLUSTER_FIELDS = {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
GROUP_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
"""Of KubeRay's reference of fields, those that are used; an unknown one is dropped without a word by Kubernetes."""


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((REPOSITORY / "deploy" / "kuberay-rayjob.yaml").read_text()))


@pytest.fixture(scope="module")
def job(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (job,) = (document for document in documents if document["kind"] == "RayJob")
    assert job["apiVersion"] == "ray.io/v1"
    spec: dict[str, Any] = job["spec"]
    return spec


@pytest.fixture(scope="module")
def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_every_field_is_one_of_kuberays(job: dict[str, Any]):
    cluster = job["rayClusterSpec"]
    assert set(job) <= JOB_FIELDS
    assert set(cluster) <= CLUSTER_FIELDS
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert set(group) <= GROUP_FIELDS
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert group["rayStartParams"]["object-store-memory"].isdecimal()


def test_a_token_is_asked_for_and_the_dashboard_is_kept(job: dict[str, Any]):
    assert job["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert job["shutdownAfterJobFinishes"] is False
    assert job["rayClusterSpec"]["rayVersion"] == importlib.metadata.version("ray")


def test_all_pods_have_one_image_one_user_and_the_same_volumes(
    pods: list[dict[str, Any]], documents: list[dict[str, Any]]
):
    claims = {each["metadata"]["name"] for each in documents if each["kind"] == "PersistentVolumeClaim"}
    for pod in pods:
        (container,) = pod["containers"]
        assert container["image"] == pods[0]["containers"][0]["image"]
        assert pod["securityContext"] == pods[0]["securityContext"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        assert {mounts["/freelunch"]["persistentVolumeClaim"]["claimName"], *_claims(mounts["/data"])} == claims
        assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"


def _claims(volume: dict[str, Any]) -> set[str]:
    return {volume["persistentVolumeClaim"]["claimName"]}


def test_the_image_and_its_user_are_those_of_the_dockerfile(pods: list[dict[str, Any]]):
    dockerfile = (REPOSITORY / "deploy" / "Dockerfile").read_text()
    name, _, target = pods[0]["containers"][0]["image"].partition(":")
    assert f"--target {target} --tag {name}:{target}" in dockerfile
    user = pods[0]["securityContext"]
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)[-1] == f"{user['runAsUser']}:{user['runAsGroup']}"


def test_the_entrypoint_is_a_command_of_this_version_that_finds_the_cluster(job: dict[str, Any], tmp_path: Path):
    program, *arguments = shlex.split(job["entrypoint"])
    assert program == "freelunch"
    assert arguments[:2] == ["--home", "/freelunch"]
    assert "--address auto" in job["entrypoint"]
    arguments[1] = str(tmp_path / "home")
    result = CliRunner().invoke(main, arguments, prog_name="freelunch")
    assert result.exit_code == 2
    assert "no dataset named 'cholec80'" in result.output  # all options are understood
