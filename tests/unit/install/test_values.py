"""What people give, and what becomes of it: values, remarks, or a refusal that names what is meant."""

import pytest
from tests.unit.install.installed import one, pod

from osm.core.install.former_values import FORMER
from osm.core.install.presets import PRESETS
from osm.core.install.set_text import with_set
from osm.core.install.values import Values
from osm.core.install.values_reading import all_paths, merged, read_values
from osm.errors import ConfigError, UsageError

REFUSED = {
    "osm.enableEgres=true": ("there is no value osm.enableEgres", "osm.enableEgress?"),
    "osm.deployPrometeus=true": ("no value osm.deployPrometeus", "osm.deployPrometheus?"),
    "osm.replicaCount=3": ("no value osm.replicaCount", "osm.osmController.replicaCount?"),
    "osm.injector.webhookTimeout=3": ("no value", "osm.injector.webhookTimeoutSeconds?"),
    "image.tag=3": ("there is no value image", "osm.image?"),
    "nothing=1": ("there is no value nothing", "There are: osm, smi."),
    "osm.osmController=3": ("holds other values", "osm.osmController.replicaCount"),
    "osm.image.tag=2": ("osm.image.tag cannot be used", "--set-string osm.image.tag=…"),
    "osm.trustDomain=null": ("osm.trustDomain cannot be null", "its default"),
    "osm.osmController.replicaCount=0": ("osm.osmController.replicaCount cannot be used", ""),
    "osm.certificateProvider.kind=vault": ("certificateProvider.kind cannot", "later release"),
    "osm.certificateProvider.serviceCertValidityDuration=soon": (
        "the value osm.certificateProvider.serviceCertValidityDuration cannot be used",
        "",
    ),
    "osm.outboundIPRangeExclusionList={10.0.0.0/8,10.0.0.0/40}": (
        "the value osm.outboundIPRangeExclusionList[1] cannot be used",
        "",
    ),
    "osm.tracing.endpoint=spans": ("the value osm.tracing.endpoint cannot be used", ""),
    "osm.tracing.address=a b": ("the value osm.tracing.address cannot be used", ""),
    "osm.networkInterfaceExclusionList={a/b}": ("osm.networkInterfaceExclusionList[0]", ""),
    "osm.outboundPortExclusionList={22,x}": ("osm.outboundPortExclusionList[1] cannot", ""),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusal_names_what_is_meant(text: str) -> None:
    message, hint = REFUSED[text]
    with pytest.raises(ConfigError) as refused:
        read_values(with_set({}, text))
    assert message in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("path", sorted(FORMER))
def test_former_value_is_read_with_a_remark(path: str) -> None:
    reading = read_values(with_set({}, f"{path}.anything=1"))
    (remark,) = reading.remarks
    assert str(remark).startswith(f"{path} has no effect: ")
    assert reading.values == Values()
    assert not read_values(with_set({}, f"{path}=false")).remarks  # what is off, is off


def test_former_values_are_no_values() -> None:
    assert not FORMER.keys() & set(all_paths(Values().tree()))


def test_defaults_are_as_in_osm() -> None:
    spec = one("MeshConfig")["spec"]
    assert spec["traffic"]["enablePermissiveTrafficPolicyMode"] is True
    assert spec["traffic"]["enableEgress"] is True
    assert spec["sidecar"]["logLevel"] == "error"
    container = pod()["spec"]["containers"][0]
    assert container["image"] == "openservicemesh/osm-controller:2.0.0"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert one("Deployment")["metadata"]["labels"]["enforceSingleMesh"] == "true"


def test_mappings_are_merged_and_the_rest_replaced() -> None:
    assert merged({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}, "d": 3}) == {
        "a": {"b": 1, "c": [2]},
        "d": 3,
    }


def test_preset_gives_way() -> None:
    given = with_set(PRESETS["ha"], "osm.osmController.replicaCount=2")
    reading = read_values(given)
    assert reading.values.osm.osm_controller.replica_count == 2
    assert reading.values.osm.osm_controller.enable_pod_disruption_budget


def test_setting_changes_no_tree_of_others() -> None:
    before = str(PRESETS["ha"])
    with_set(PRESETS["ha"], "osm.osmController.autoScale.minReplicas=9")
    assert str(PRESETS["ha"]) == before


def test_null_takes_away_what_people_fill() -> None:
    assert "affinity" not in pod("osm.osmController.affinity=null")["spec"]
    assert set(pod("osm.osmController.affinity.podAntiAffinity=null")["spec"]["affinity"]) == {
        "nodeAffinity"
    }


def test_labels_of_pods_never_replace_ours() -> None:
    text = "osm.osmController.podLabels.app=mine,osm.osmController.podLabels.team=mesh"
    labels = pod(text)["metadata"]["labels"]
    assert (labels["app"], labels["team"]) == ("osm-controller", "mesh")
    assert "…" not in labels


def test_tolerations_of_both_kinds_count() -> None:
    text = "osm.controlPlaneTolerations[0].key=a,osm.osmController.tolerations[0].key=b"
    assert [each["key"] for each in pod(text)["spec"]["tolerations"]] == ["a", "b"]


@pytest.mark.parametrize("text", ["a", "a=1,b", "=1", "a[x]=1", "a={b", "a[0]", "a={b}c", "a.=1"])
def test_unreadable_text_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as refused:
        with_set({}, text)
    assert text in refused.value.message
