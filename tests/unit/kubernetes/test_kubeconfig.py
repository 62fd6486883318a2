"""Which cluster is meant: kubeconfig files as kubectl puts them together."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.config.kubeconfig import SingleConfig

from osm.errors import ConfigError
from osm.kubernetes.kubeconfig import choose_cluster


def written(
    path: Path, name: str, *, current: str | None = None, user: Any = None, **cluster: Any
) -> Path:
    content: dict[str, Any] = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{path.stem}", **cluster}}],
        "users": [{"name": name, "user": user or {"token": path.stem}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": path.stem}}
        ],
    }
    if current:
        content["current-context"] = current
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def server(chosen: SingleConfig) -> str:
    return chosen.cluster.server.removeprefix("https://")


def test_the_users_own_file_is_the_default(home: Path) -> None:
    (home / ".kube").mkdir()
    written(home / ".kube" / "config", "mine", current="mine")
    chosen = choose_cluster()
    assert (server(chosen), chosen.namespace) == ("config", "config")


def test_a_file_that_is_named_counts_before_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(written(home / "env", "a", current="a")))
    assert server(choose_cluster(written(home / "named", "b", current="b"))) == "named"
    assert server(choose_cluster()) == "env"


def test_of_several_files_the_first_that_says_something_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = written(home / "one", "same")
    two = written(home / "two", "same", current="same")
    three = written(home / "three", "other", current="other")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{home / 'not-there'}::{two}:{three}")
    assert server(choose_cluster()) == "one"
    assert server(choose_cluster(context="other")) == "three"


def test_files_are_found_beside_the_one_that_names_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = {"client-certificate": "me.crt", "client-key": "/keys/me.key"}
    path = written(
        home / "far" / "config", "a", current="a", user=login, **{"certificate-authority": "ca.crt"}
    )
    monkeypatch.chdir(home)
    chosen = choose_cluster(path.relative_to(home))
    assert chosen.cluster.certificate_auth == str(home / "far" / "ca.crt")
    assert chosen.user is not None
    assert chosen.user.client_cert == str(home / "far" / "me.crt")
    assert chosen.user.client_key == "/keys/me.key"


def test_login_programs_are_asked_in_the_version_that_they_speak(home: Path) -> None:
    login = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "bin/login",
            "env": [{"name": "A", "value": "b"}],
        }
    }
    chosen = choose_cluster(written(home / "config", "a", current="a", user=login))
    assert chosen.user is not None
    assert chosen.user.exec is not None
    assert chosen.user.exec.command == str(home / "bin" / "login")
    assert chosen.user.exec.env is not None
    env = {each.name: each.value for each in chosen.user.exec.env}
    assert env["A"] == "b"
    question = json.loads(env["KUBERNETES_EXEC_INFO"])
    assert question["apiVersion"] == "client.authentication.k8s.io/v1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a list", "is no kubeconfig"),
        ("a: [", "cannot be read"),
        ("", "No current context"),
        ("current-context: gone", "'gone' not found"),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: gone}}]}",
            "has no entry 'gone'",
        ),
        ("{current-context: a, contexts: [{name: a, context: {cluster: 7}}]}", "Expected `str`"),
        ("contexts: [{context: {}}]", "has no entry 'name'"),
    ],
)
def test_a_file_that_is_none_is_named_with_what_is_wrong(
    home: Path, text: str, complaint: str
) -> None:
    path = home / "config"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        choose_cluster(path)
    assert str(path) in refused.value.message
    assert complaint in refused.value.message
    assert "--context" in refused.value.hint


def test_without_any_file_there_is_the_pods_account_or_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="nor an account of a pod"):
        choose_cluster()
    monkeypatch.setenv("KUBECONFIG", str(home / "nothing"))
    with pytest.raises(ConfigError, match="there is no file"):
        choose_cluster()


def test_what_is_given_inline_stays_inline(home: Path) -> None:
    pem = base64.b64encode(b"pem").decode()
    path = written(home / "config", "a", current="a", **{"certificate-authority-data": pem})
    assert choose_cluster(path).cluster.certificate_auth_data == pem
