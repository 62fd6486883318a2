"""The rig's other platform: a real API server and etcd instead of a directory of files."""
