"""What the chart renders is what keyturn reads: its settings, its clients file, its secret files."""

import re
import secrets
from pathlib import Path

import pytest

from keyturn.clients import clients_file, rules
from keyturn.configuration import load_settings
from support.chart import SETS, containers, documents_of, of_kind, pods

pytestmark = pytest.mark.operations

MADE = {
    "postgres-url": "postgresql://keyturn:p@db.example.com/keyturn",
    "postgres-direct-url": "postgresql://keyturn:p@direct.example.com/keyturn",
    "redis-url": "redis://cache.example.com:6379/0",
    "secrets": f"1: {secrets.token_urlsafe(32)}",
}
OF_KEYTURN = {"keyturn", "migrate", "doctor"}


def mounted(pod, container, configs, folder):
    """Lay out in a folder what Kubernetes mounts into a container, with the modes it would have."""
    volumes = {one["name"]: one for one in pod["volumes"]}
    for mount in container["volumeMounts"]:
        at = folder / mount["mountPath"].lstrip("/")
        volume = volumes[mount["name"]]
        at.parent.mkdir(parents=True, exist_ok=True)
        if "subPath" in mount:
            at.write_text(
                configs[volume["configMap"]["name"]][mount["subPath"]].replace(
                    "/etc/", f"{folder}/etc/"
                )
            )
        elif volume.get("configMap", {}).get("name") in configs:
            at.mkdir()
            for name, text in configs[volume["configMap"]["name"]].items():
                (at / name).write_text(text)
        elif "projected" in volume:
            at.mkdir()
            for source in volume["projected"]["sources"]:
                for item in source["secret"]["items"]:
                    (at / item["path"]).write_text(MADE.get(item["path"], "certificate"))
                    (at / item["path"]).chmod(volume["projected"]["defaultMode"])


def environment(container, folder):
    values = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    return {
        name: re.sub(r"^/(etc|run)/", rf"{folder}/\1/", value) for name, value in values.items()
    }


@pytest.mark.parametrize("name", SETS)
def test_keyturn_reads_what_its_containers_are_given(name, tmp_path):
    objects = documents_of(name)
    configs = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    issuers, read = set(), 0
    for where, pod in pods(objects):
        for container in containers(pod):
            if container["name"] not in OF_KEYTURN:
                continue
            folder = tmp_path / where.replace(" ", "-") / container["name"]
            mounted(pod, container, configs, folder)
            environ = environment(container, folder)
            settings = load_settings(environ)
            issuers.add(settings.issuer)
            read += 1
            assert settings.postgres.dsn().startswith("postgresql://keyturn:p@")
            if settings.clients_file and container["name"] == "keyturn":
                inline = [one for one in configs if one.endswith("-clients")]
                assert settings.clients_file.exists() == bool(inline)
    assert len(issuers) == 1
    assert read >= 1


def test_the_values_reach_the_settings(tmp_path):
    objects = documents_of("full")
    configs = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    pod = of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]
    server = pod["containers"][0]
    mounted(pod, server, configs, tmp_path)
    settings = load_settings(environment(server, tmp_path))
    assert (settings.server.drain_seconds, settings.server.grace_seconds) == (15, 40)
    assert settings.postgres.pool_max == 8
    assert settings.passwords.workers == 3
    assert settings.sessions.remembered_lifetime == 2592000
    assert settings.log.level == "debug"
    assert settings.redis.url is not None
    declared = clients_file.read(Path(str(settings.clients_file)), rules.Limits.of(settings))
    assert [one.definition.id for one in declared] == ["web"]
