"""API groups of what people write, as origins name them; the core group is empty."""

CONFIG = "config.openservicemesh.io"
POLICY = "policy.openservicemesh.io"
ACCESS = "access.smi-spec.io"
SPECS = "specs.smi-spec.io"
SPLIT = "split.smi-spec.io"
APPS = "apps"
BATCH = "batch"
