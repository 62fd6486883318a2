"""What `osm install` refuses, the chart's schema refuses too."""

import pytest
from tests.chart.helm_command import Helm

from osm.core.install.set_text import with_set
from osm.core.install.values_reading import read_values
from osm.errors import ConfigError

REFUSED = (
    "osm.enableEgres=true",
    "osm.osmController.replicas=2",
    "osm.osmController=2",
    "nothing.of.ours=1",
    "osm.osmController.replicaCount=0",
    "osm.osmController.replicaCount=two",
    "osm.osmController.replicaCount=null",
    "osm.osmController.podLabels.a=1",
    "osm.osmController.podLabels={a}",
    "osm.osmController.tolerations=null",
    "osm.osmController.tolerations={a}",
    "osm.osmController.autoScale.cpu.targetAverageUtilization=101",
    "osm.image.tag=2",
    "osm.image.tag=null",
    "osm.image.pullPolicy=Sometimes",
    "osm.meshName=Not-A-Name",
    "osm.meshName=123",
    "osm.osmNamespace=a/b",
    "osm.controllerLogLevel=loud",
    "osm.envoyLogLevel=fatal",
    "osm.localProxyMode=podip",
    "osm.certificateProvider.kind=vault",
    "osm.certificateProvider.certKeyBitSize=1024",
    "osm.injector.webhookTimeoutSeconds=31",
    "osm.enableEgress=maybe",
    "osm.outboundPortExclusionList={22,70000}",
    "osm.outboundPortExclusionList=22",
    "osm.outboundIPRangeExclusionList={10.0.0.0}",
    "osm.tracing.port=0",
    "osm.maxDataPlaneConnections=-1",
    "osm.featureFlags.enableRetries=true",
    "smi=null",
)


@pytest.mark.parametrize("text", REFUSED)
def test_both_refuse(text: str, helm: Helm) -> None:
    with pytest.raises(ConfigError):
        read_values(with_set({}, text))
    assert "values don't meet the specifications of the schema" in helm.refusal(("--set", text))
