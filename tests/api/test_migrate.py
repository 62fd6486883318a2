"""`osm migrate check` on a real API server that has an installation as OSM v1.2.4 makes it."""

import asyncio
import base64
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner
from tests.kubernetes.control_plane import ControlPlane
from tests.unit.migrate.former import (
    DEFINED,
    SETTINGS,
    Document,
    definitions,
    deployments,
    labelled,
    mesh_config,
    namespace,
    object_,
    pod,
    release,
    routes,
    secret,
    target,
    webhooks,
)

from osm.cli.verbs.crds import command as print_definitions
from osm.core.install.manifests import manifests
from osm.core.install.names import Installation
from osm.core.install.values_reading import read_values

from .test_crds import define
from .verbs import Result, nobody_special, osm

pytestmark = pytest.mark.asyncio(loop_scope="session")
CRDS = [f"crd/{plural}.{group}" for group, _, plural, _, _ in DEFINED]


async def create(cluster: ControlPlane, *documents: Document) -> None:
    whole = {"apiVersion": "v1", "kind": "List", "items": documents}
    await cluster.kubectl("create", "-f", "-", text=json.dumps(whole))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mesh(cluster: ControlPlane) -> AsyncIterator[str]:
    """The name of a mesh of OSM, whose control plane is in the namespace of the same name, and whose
    only other namespace is `<mesh>-shop`. The definitions of kinds are OSM's, and ours afterwards.
    """
    name = f"former-{uuid.uuid4().hex[:6]}"
    shop = f"{name}-shop"
    await cluster.kubectl("delete", *CRDS, "--ignore-not-found", "--wait")
    await create(cluster, *(without_status(each) for each in definitions()))
    await cluster.kubectl("wait", "--for=condition=Established", *CRDS)
    await create(
        cluster,
        object_("v1", "Namespace", name),
        namespace(shop, mesh=name, sidecar_injection="enabled", metrics="enabled"),
    )
    await create(
        cluster,
        *deployments(name, name),
        without_pods(object_("apps/v1", "Deployment", "jaeger", name)),
        *webhooks(name, name),
        mesh_config(name, **SETTINGS),
        secret("osm-ca-bundle", name, "ca.crt", "private.key"),
        labelled(
            secret("envoy-bootstrap-config-0", shop, "bootstrap.yaml", "sds_key.pem"),
            {"app.kubernetes.io/name": "openservicemesh.io"},
        ),
        release({"osm": {"deployJaeger": True}}, name, name),
        routes("routes", shop),
        target("buyers", shop, {"kind": "HTTPRouteGroup", "name": "routes", "matches": ["all"]}),
    )
    await cluster.until_pods_can_be_made(shop)
    await create(cluster, pod("shop-1", shop))
    yield name
    await cluster.kubectl("delete", "namespace", name, shop, f"{name}-next", "--wait=false",
                          "--ignore-not-found")  # fmt: skip
    await cluster.kubectl("delete", *(f"{each['kind'].lower()}/{each['metadata']['name']}"
                                      for each in webhooks(name, name)))  # fmt: skip
    await cluster.kubectl("delete", *CRDS, "--ignore-not-found", "--wait")
    await define(cluster)


def without_status(document: Document) -> Document:
    return {name: part for name, part in document.items() if name != "status"}


def without_pods(deployment: Document) -> Document:
    labels = {"app": "none"}
    containers = [{"name": "a", "image": "mesh.local/a:1"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {**deployment, "spec": spec}


async def report_on(cluster: ControlPlane) -> tuple[int, Any]:
    result = await osm(cluster, "migrate", "check", "-o", "json")
    assert result.err == ""
    return result.code, json.loads(result.out)


async def in_shell(cluster: ControlPlane, commands: Sequence[str]) -> None:
    """Type commands of a plan, as they are, in a directory of their own."""
    directory = cluster.directory / uuid.uuid4().hex
    directory.mkdir()
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", "\n".join(commands),
        cwd=directory,
        env={
            "PATH": f"{Path(sys.executable).parent}:{cluster.programs}:{os.environ['PATH']}",
            "KUBECONFIG": str(cluster.kubeconfig),
            "HOME": str(directory),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_a_person_reads_what_becomes_of_their_mesh(cluster: ControlPlane, mesh: str) -> None:
    result = await osm(cluster, "migrate", "check")
    assert (result.code, result.err) == (1, "")
    lines = result.out.splitlines()
    assert (
        f"Found mesh {mesh} of OSM v1.2.4 in namespace {mesh}; its namespaces: {mesh}-shop."
        in lines
    )
    for heading in ("Not supported", "To do", "Works, and means something else", "Works as before"):
        assert any(line.startswith(heading) for line in lines), heading
    jaeger = lines.index(
        "  Jaeger was brought by OSM's chart, and goes with it; this mesh brings none [chart-part]"
    )
    assert lines[jaeger + 1] == f"    at Deployment {mesh}/jaeger"
    assert lines[jaeger + 2].startswith("    do: Run your own, and name it in MeshConfig")
    proxies = next(i for i, line in enumerate(lines) if "[old-proxies]" in line)
    assert lines[proxies].endswith("is in 1 pod [old-proxies]")
    assert lines[proxies + 1] == f"    at Namespace {mesh}-shop"
    assert f"Plan: Mesh {mesh}, namespace by namespace: old and new side by side" in lines
    assert f"       osm namespace add {mesh}-shop --mesh-name {mesh}-next" in lines
    assert f"       osm namespace remove {mesh}-shop --mesh-name {mesh}-next" in lines
    # Keys are nobody's to see.
    assert base64.b64encode(b"x").decode() not in result.out


async def test_programs_get_every_entry_with_its_object(cluster: ControlPlane, mesh: str) -> None:
    code, report = await report_on(cluster)
    assert (code, report["unseen"]) == (1, [])
    mine = {
        (each["severity"], each["code"], each["object"], each["field"])
        for each in report["entries"]
        if mesh in each["object"]
    }
    config = f"MeshConfig {mesh}/osm-mesh-config"
    assert {
        ("carry-over", "version", f"Deployment {mesh}/osm-controller", ""),
        ("carry-over", "root-certificate", f"Secret {mesh}/osm-ca-bundle", "data"),
        ("carry-over", "permissive-mode", config, "spec.traffic.enablePermissiveTrafficPolicyMode"),
        ("changes", "wasm-stats", config, "spec.featureFlags.enableWASMStats"),
        ("action", "bootstrap-secrets", f"Namespace {mesh}-shop", ""),
        ("unsupported", "value-without-effect", f"Helm release {mesh}/{mesh}", "osm.deployJaeger"),
        ("changes", "tcp-by-http-routes", f"TrafficTarget {mesh}-shop/buyers", "spec.rules"),
        ("carry-over", "object", f"HTTPRouteGroup {mesh}-shop/routes", ""),
        ("action", "webhook-configuration", f"MutatingWebhookConfiguration osm-webhook-{mesh}", ""),
    } <= mine
    definitions_there = {
        each["object"].partition(" ")[2]
        for each in report["entries"]
        if each["code"] == "definition"
    }
    assert definitions_there >= {name.removeprefix("crd/") for name in CRDS}


async def test_what_the_plan_says_works_and_objects_stay(cluster: ControlPlane, mesh: str) -> None:
    """Saving, sharing the root, taking over settings, and our definitions in place of OSM's."""
    _, report = await report_on(cluster)
    plan = next(each for each in report["plans"] if f"Mesh {mesh}, namespace by" in each["title"])
    steps = {step["title"]: step["commands"] for step in plan["steps"]}
    objects = json.loads(await cluster.kubectl("get", "traffictargets", "-A", "-o", "json"))
    ours = CliRunner().invoke(print_definitions).output
    await cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=ours)
    after = json.loads(await cluster.kubectl("get", "traffictargets", "-A", "-o", "json"))
    assert [each["spec"] for each in after["items"]] == [each["spec"] for each in objects["items"]]

    share = steps["Share the root"]
    (settings,) = (
        each for each in steps["Install the new mesh beside the old one"] if "patch" in each
    )
    empty = mesh_config(f"{mesh}-next", sidecar={}, traffic={}, observability={}, certificate={})
    empty["spec"] |= {"certificate": SETTINGS["certificate"]}
    make = f"echo '{json.dumps(empty)}' | kubectl create -f -"
    saving = [each for each in steps["Save settings and root"] if not each.startswith("helm")]
    take_over = [c for c in steps[f"Take over {mesh}-shop"] if c.startswith("osm namespace")]
    back = [c for c in steps[f"The way back for {mesh}-shop"] if c.startswith("osm namespace")]
    await in_shell(cluster, [*saving, *share, make, settings])
    await cluster.kubectl("create", "-f", "-", text=json.dumps(next_deployment(mesh)))
    await in_shell(cluster, take_over)

    found = json.loads(
        await cluster.kubectl("get", "secret", "osm-ca-bundle", "-n", f"{mesh}-next", "-o", "json")
    )
    assert set(found["data"]) == {"ca.crt", "private.key"}
    config = json.loads(
        await cluster.kubectl(
            "get", "meshconfig", "osm-mesh-config", "-n", f"{mesh}-next", "-o", "json"
        )
    )
    assert config["spec"]["traffic"]["enablePermissiveTrafficPolicyMode"] is True
    marks = {
        "openservicemesh.io/taken-over-by": f"{mesh}-next",
        "openservicemesh.io/ignore": "true",
    }

    async def labels() -> Any:
        shop = json.loads(await cluster.kubectl("get", "namespace", f"{mesh}-shop", "-o", "json"))
        found = shop["metadata"]["labels"]
        return {key: found[key] for key in found if key.startswith("openservicemesh.io/")}

    before = {"openservicemesh.io/monitored-by": mesh}
    assert await labels() == {**before, **marks}
    again = await osm(cluster, "migrate", "check")
    assert f"osm namespace remove {mesh}-shop --mesh-name {mesh}-next" in again.out
    assert f"Namespace {mesh}-shop metadata.labels[openservicemesh.io/ignore]" not in again.out
    await in_shell(cluster, back)
    assert await labels() == before
    old_pods, *_ = steps["Remove OSM"]
    found = f'[ "$({old_pods})" = "{mesh}-shop/shop-1" ]'
    await in_shell(cluster, [f"{found} || {{ {old_pods}; exit 1; }}"])


def next_deployment(mesh: str) -> Any:
    """The control plane that `osm install` makes, without pods."""
    values = read_values({"osm": {"formerMeshName": mesh}}).values
    made: tuple[Any, ...] = manifests(Installation(f"{mesh}-next", f"{mesh}-next"), values, "2.0.0")
    (found,) = (each for each in made if each["kind"] == "Deployment")
    found["spec"]["replicas"] = 0
    return found


async def test_dumps_of_kubectl_tell_the_same(cluster: ControlPlane, mesh: str) -> None:
    _, live = await report_on(cluster)
    kinds = (
        "deployments,secrets,namespaces,pods,crds,meshconfigs,httproutegroups,traffictargets,"
        "mutatingwebhookconfigurations,validatingwebhookconfigurations"
    )
    file = cluster.directory / f"{mesh}.yaml"
    file.write_text(await cluster.kubectl("get", kinds, "-A", "-o", "yaml"))
    result = await osm(cluster, "migrate", "check", str(file), "-o", "json")
    read = json.loads(result.out)
    assert (result.code, result.err) == (1, "")

    def about_mine(report: Any) -> list[Any]:
        return [each for each in report["entries"] if mesh in each["object"]]

    assert about_mine(read) == about_mine(live)


async def test_who_may_not_look_is_told_what_was_not_seen(
    cluster: ControlPlane, mesh: str, namespace: str
) -> None:
    """May read Deployments, and nothing else."""
    role = f"{mesh}-reader"
    await cluster.kubectl(
        "create", "clusterrole", role, "--verb=list", "--resource=deployments.apps"
    )
    await cluster.kubectl("create", "clusterrolebinding", role, f"--clusterrole={role}",
                          f"--serviceaccount={namespace}:default")  # fmt: skip
    reader = await nobody_special(cluster, namespace)

    async def told() -> Result:
        return await osm(cluster, "migrate", "check", kubeconfig=reader)

    result = await told()
    assert result.code == 1
    assert "Not looked at: all CustomResourceDefinition: You may not do this" in result.out
    assert "[ca-secret-unseen]" in result.out and "[mesh-config-unseen]" in result.out
    await cluster.kubectl("delete", "clusterrole,clusterrolebinding", role)


async def test_a_cluster_without_osm_and_a_file_that_is_none(
    cluster: ControlPlane, namespace: str
) -> None:
    file = cluster.directory / f"{namespace}.yaml"
    file.write_text("kind: Namespace\napiVersion: v1\nmetadata: {name: a}\n")
    result = await osm(cluster, "migrate", "check", str(file))
    assert (result.code, result.out) == (2, "")
    assert "There is no control plane of OSM in what was looked at." in result.err
    file.write_text("{")
    result = await osm(cluster, "migrate", "check", str(file))
    assert result.code == 2 and "cannot be read" in result.err
